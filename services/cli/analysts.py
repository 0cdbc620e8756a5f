"""`securitybot analysts`: local accounts of the console."""

from __future__ import annotations

import sys

import click

from services.cli.options import json_option
from services.cli.output import print_json, print_table, visible
from services.cli.session import actor, open_record


@click.group()
def analysts() -> None:
    """Local accounts of the console; who signs in through OpenID Connect needs none."""


@analysts.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["viewer", "analyst", "admin"]),
    required=True,
    help="viewer: look; analyst: and work with alerts; admin: and send internal messages again.",
)
def add(name: str, role: str) -> None:
    """Make an account for NAME, or give it a new role and password; the password is asked for.

    Without a terminal the password is the first line of standard input.

    \b
    securitybot analysts add mara --role analyst
    """
    from common.records.analysts import add_analyst

    password = _password()
    with open_record() as record:
        record.change(lambda work: add_analyst(work, name, role, password, actor()))
    click.echo(f"{visible(name)} may sign in as {role}")


@analysts.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the accounts, removed ones too.

    \b
    securitybot analysts list
    """
    from common.records.analysts import list_analysts

    with open_record() as record:
        rows = record.read(list_analysts)
    if as_json:
        print_json(rows)
        return
    columns = {"name": "name", "role": "role", "created_at": "created", "removed_at": "removed"}
    print_table(rows, columns, "no accounts; `securitybot analysts add` makes one")


@analysts.command()
@click.argument("name")
def remove(name: str) -> None:
    """Close the account NAME; its sessions end at once.

    \b
    securitybot analysts remove mara
    """
    from common.records.analysts import remove_analyst

    with open_record() as record:
        record.change(lambda work: remove_analyst(work, name, actor()))
    click.echo(f"removed: {visible(name)}")


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
