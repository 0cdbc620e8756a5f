"""`securitybot ignored` and `securitybot blacklist`: what is not asked about, and who is not asked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

import click

from services.cli.options import duration, json_option, limit_option
from services.cli.output import print_json, print_table, visible
from services.cli.session import Record, actor, open_record

for_option = click.option(
    "--for", "length", type=duration, required=True, help="How long: 30m, 4h, 2d (at most 366 days)."
)
reason_option = click.option("--reason", required=True, help="Why; it is recorded with every alert it silences.")
all_option = click.option("--all", "ended", is_flag=True, help="Also what was lifted or has run out.")


@click.group()
def ignored() -> None:
    """Titles that somebody is not asked about."""


@ignored.command("list")
@all_option
@limit_option
@json_option
def list_ignored(ended: bool, limit: int, as_json: bool) -> None:
    """List what is ignored now.

    \b
    securitybot ignored list --json
    """
    _list("ignored", ended, limit, as_json)


@ignored.command("add")
@click.argument("person")
@click.argument("title")
@for_option
@reason_option
def add_ignored(person: str, title: str, length: timedelta, reason: str) -> None:
    """Do not ask PERSON (chat id, user name or e-mail address) about alerts with this exact TITLE for a while.

    \b
    securitybot ignored add alice "sudo on db-7" --for 4h --reason "migration weekend"
    """
    from common.records import changes

    with open_record() as record:
        silence = _silence(record, length, reason)
        found = record.change(lambda work: changes.add_ignored(work, person, title, silence))
    click.echo(f"{visible(found['username'])} is not asked about {visible(title)!r} until {silence.until:%F %H:%MZ}")


@ignored.command("lift")
@click.argument("number", type=click.IntRange(1, 2**63 - 1), metavar="ID")
def lift_ignored(number: int) -> None:
    """End an entry of `ignored list` now.

    \b
    securitybot ignored lift 17
    """
    _lift("ignored", number)


@click.group()
def blacklist() -> None:
    """People who are not asked at all."""


@blacklist.command("list")
@all_option
@limit_option
@json_option
def list_blacklist(ended: bool, limit: int, as_json: bool) -> None:
    """List who is on the blacklist now.

    \b
    securitybot blacklist list --all
    """
    _list("blacklist", ended, limit, as_json)


@blacklist.command("add")
@click.argument("person")
@for_option
@reason_option
def add_blacklist(person: str, length: timedelta, reason: str) -> None:
    """Do not ask PERSON (chat id, user name or e-mail address) anything for a while; their alerts are recorded.

    \b
    securitybot blacklist add alice@example.com --for 14d --reason "on leave"
    """
    from common.records import changes

    with open_record() as record:
        silence = _silence(record, length, reason)
        found = record.change(lambda work: changes.add_blacklist(work, person, silence))
    click.echo(f"{visible(found['username'])} is not asked until {silence.until:%F %H:%MZ}")


@blacklist.command("lift")
@click.argument("number", type=click.IntRange(1, 2**63 - 1), metavar="ID")
def lift_blacklist(number: int) -> None:
    """End an entry of `blacklist list` now.

    \b
    securitybot blacklist lift 3
    """
    _lift("blacklist", number)


def _silence(record: Record, length: timedelta, reason: str) -> Any:
    from common.records.changes import Silence

    return Silence(record.now() + length, reason, actor())


def _table(kind: Literal["ignored", "blacklist"]) -> Any:
    from common.records.tables import BlacklistRow, IgnoredRow

    return IgnoredRow if kind == "ignored" else BlacklistRow


def _list(kind: Literal["ignored", "blacklist"], ended: bool, limit: int, as_json: bool) -> None:
    from common.records.queries import list_silences

    with open_record() as record:
        rows = record.read(
            lambda connection: list_silences(connection, _table(kind), record.now(), ended=ended, limit=limit)
        )
    if as_json:
        print_json(rows)
        return
    columns = {"id": "id", "username": "person", "person_id": "chat id"}
    columns |= {"title": "title"} if kind == "ignored" else {}
    columns |= {"until": "until", "added_by": "by", "reason": "why"}
    columns |= {"lifted_at": "lifted", "lifted_by": "lifted by"} if ended else {}
    print_table(rows, columns, "nothing is ignored" if kind == "ignored" else "nobody is on the blacklist")


def _lift(kind: Literal["ignored", "blacklist"], number: int) -> None:
    from common.records.changes import lift

    with open_record() as record:
        row = record.change(lambda work: lift(work, _table(kind), number, actor()))
    click.echo(
        f"lifted: {visible(row['person_id'])} is asked again"
        + (f" about {visible(row['title'])!r}" if kind == "ignored" else "")
    )
