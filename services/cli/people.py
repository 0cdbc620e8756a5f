"""`securitybot people`: the directory as the chat system gave it."""

from __future__ import annotations

import click

from services.cli.options import json_option, limit_option
from services.cli.output import print_json, print_table
from services.cli.session import open_record


@click.group()
def people() -> None:
    """Whom the bot knows."""


@people.command("list")
@click.argument("search", required=False)
@click.option("--all", "inactive", is_flag=True, help="Also who has left.")
@limit_option
@json_option
def list_(search: str | None, inactive: bool, limit: int, as_json: bool) -> None:
    """List the directory; SEARCH is the beginning of a user name or an e-mail address.

    \b
    securitybot people list ali
    securitybot people list --all --limit 1000 --json
    """
    from common.records.queries import list_people

    with open_record() as record:
        rows = record.read(lambda connection: list_people(connection, search, inactive=inactive, limit=limit))
    if as_json:
        print_json(rows)
        return
    columns = {
        "username": "user name", "email": "e-mail", "display_name": "name", "chat_id": "chat id",
        "time_zone": "time zone", "active": "active",
    }  # fmt: skip
    print_table(rows, columns, "nobody; the chat gateway fills the directory when it runs")
