"""`securitybot quarantine`: messages that could not be taken."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from common.errors import ChangeRefused
from services.cli.options import json_option, limit_option
from services.cli.output import print_facts, print_json, print_table, visible
from services.cli.session import actor, is_embedded, open_record, read_settings


@click.group()
def quarantine() -> None:
    """Messages that could not be taken, as they came."""


@quarantine.command("list")
@click.option(
    "--state", type=click.Choice(["waiting", "retried", "dropped", "all"]), default="waiting", show_default=True
)
@limit_option
@json_option
def list_(state: str, limit: int, as_json: bool) -> None:
    """List quarantined messages, newest first.

    \b
    securitybot quarantine list
    securitybot quarantine list --state all --json
    """
    from common.records.queries import list_quarantine

    with open_record() as record:
        rows = record.read(lambda connection: list_quarantine(connection, None if state == "all" else state, limit))
    if as_json:
        print_json(rows)
        return
    columns = {
        "id": "id",
        "received_at": "received",
        "queue": "queue",
        "routing_key": "routing key",
        "reason": "reason",
    }
    print_table(rows, columns | ({} if state == "waiting" else {"state": "state"}), "the quarantine is empty")


@quarantine.command()
@click.argument("number", type=click.IntRange(1, 2**63 - 1), metavar="ID")
@click.option("--raw", is_flag=True, help="Only the body, byte by byte: redirect it, change it, retry with --body.")
@json_option
def show(number: int, raw: bool, as_json: bool) -> None:
    """Show a quarantined message.

    \b
    securitybot quarantine show 5
    securitybot quarantine show 5 --raw > body.json
    """
    from common.records.queries import get_quarantined

    with open_record() as record:
        row = record.read(lambda connection: get_quarantined(connection, number))
    if row is None:
        raise ChangeRefused(f"the quarantine has no message {number}; see `securitybot quarantine list`")
    if raw:
        _print_raw(bytes(row["body"]))
    elif as_json:
        print_json(row)
    else:
        body = bytes(row.pop("body")).decode(errors="backslashreplace")
        print_facts({name: value for name, value in row.items() if value is not None})
        click.echo()
        for line in body.splitlines():
            click.echo(visible(line))


@quarantine.command()
@click.argument("number", type=click.IntRange(1, 2**63 - 1), metavar="ID")
@click.option(
    "--body", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File with a better body to send."
)
def retry(number: int, body: Path | None) -> None:
    """Send a quarantined message again to where it was meant to go.

    \b
    securitybot quarantine retry 5
    securitybot quarantine retry 5 --body body.json
    """
    from common.records.changes import retry_quarantined

    new_body = None if body is None else _read(body)
    with open_record() as record:
        message_id = record.change(lambda work: retry_quarantined(work, number, actor(), new_body))
    when = "when the process with the memory bus starts next" if is_embedded(read_settings()) else "within 15 seconds"
    click.echo(f"{number} will be sent {when} as message {message_id}")


@quarantine.command()
@click.argument("number", type=click.IntRange(1, 2**63 - 1), metavar="ID")
@click.option("--note", required=True, help="Why it need not be handled.")
def drop(number: int, note: str) -> None:
    """Decide that a quarantined message is not to be handled; it stays in the record.

    \b
    securitybot quarantine drop 5 --note "test message of a new rule"
    """
    from common.records.changes import drop_quarantined

    with open_record() as record:
        record.change(lambda work: drop_quarantined(work, number, actor(), note))
    click.echo(f"{number} is dropped")


def _print_raw(body: bytes) -> None:
    if sys.stdout.isatty():
        raise click.UsageError("--raw may hold anything, so it is not shown on a terminal; redirect it to a file")
    sys.stdout.buffer.write(body)


def _read(path: Path) -> Any:
    try:
        return path.read_bytes()
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}") from None
