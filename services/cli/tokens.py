"""`securitybot tokens`: bearer tokens of the HTTP side."""

from __future__ import annotations

import click

from services.cli.options import json_option
from services.cli.output import print_json, print_table, visible
from services.cli.session import actor, open_record


@click.group()
def tokens() -> None:
    """Bearer tokens of the HTTP API."""


@tokens.command()
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(["publish", "read", "admin"]),
    required=True,
    help="publish: POST /v1/alerts; read: the console's API; admin: both, and changes.",
)
@json_option
def create(name: str, scope: str, as_json: bool) -> None:
    """Make a token for NAME and print it, this once: only its hash is kept.

    \b
    securitybot tokens create splunk --scope publish
    """
    from common.api_tokens import Scope
    from common.api_tokens import create as create_token

    with open_record() as record:
        token = record.change(lambda work: create_token(work, name, Scope(scope), actor()))
    if as_json:
        print_json({"name": name.strip(), "scope": scope, "token": token})
        return
    click.echo(token)
    click.echo("Keep it now; it cannot be shown again.", err=True)


@tokens.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List tokens, revoked ones too.

    \b
    securitybot tokens list
    """
    from common.records.queries import list_tokens

    with open_record() as record:
        rows = record.read(list_tokens)
    if as_json:
        print_json(rows)
        return
    columns = {
        "name": "name", "scope": "scope", "created_at": "created", "last_used_at": "last used", "revoked_at": "revoked",
    }  # fmt: skip
    print_table(rows, columns, "no tokens; `securitybot tokens create` makes one")


@tokens.command()
@click.argument("name")
def revoke(name: str) -> None:
    """End the token NAME for good; within 10 seconds it is refused everywhere.

    \b
    securitybot tokens revoke splunk
    """
    from common.api_tokens import revoke as revoke_token

    with open_record() as record:
        record.change(lambda work: revoke_token(work, name, actor()))
    click.echo(f"revoked: {visible(name)}")
