"""`securitybot alerts`: look at alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from common.errors import ChangeRefused
from services.cli.options import SEVERITY, json_option, limit_option, moment
from services.cli.output import print_facts, print_json, print_table
from services.cli.session import open_record

STATUSES = ("open", "in_progress", "verifying", "closed")
RESOLUTIONS = (
    "confirmed", "confirmed_unproved", "denied", "not_sure", "wrong_person", "no_response", "proof_refused",
    "proof_denied", "proof_timeout", "proof_fraud", "proof_unavailable", "unreachable", "unknown_owner", "blacklisted",
    "ignored",
)  # fmt: skip
"""Written out: `common.alerts` loads pydantic, which `--help` has no time for. A test compares them."""
SHORTEST_PREFIX = 4
SHORT_HASH = 12


@click.group()
def alerts() -> None:
    """Look at alerts."""


@alerts.command("list")
@click.option("--status", type=click.Choice(STATUSES))
@click.option("--resolution", type=click.Choice(RESOLUTIONS), help="How it ended.")
@click.option("--owner", help="As the publisher named them, or a chat id.")
@click.option("--title", help="The exact title.")
@click.option("--severity", type=SEVERITY)
@click.option("--after", type=moment, help="Received at or after this time.")
@click.option("--before", type=moment, help="Received before this time.")
@limit_option
@json_option
def list_(as_json: bool, after: datetime | None, before: datetime | None, **wanted: Any) -> None:
    """List alerts, newest first.

    \b
    securitybot alerts list --status verifying
    securitybot alerts list --owner alice --after 2026-03-01 --json
    """
    from common.records.queries import AlertFilter, list_alerts

    with open_record() as record:
        rows = record.read(
            lambda connection: list_alerts(connection, AlertFilter(after=after, before=before, **wanted))
        )
    if as_json:
        print_json(rows)
        return
    columns = {
        "short": "hash", "received_at": "received", "owner": "owner", "title": "title", "severity": "severity",
        "status": "status", "resolution": "resolution", "occurrences": "seen",
    }  # fmt: skip
    print_table([row | {"short": row["hash"][:SHORT_HASH]} for row in rows], columns, "no alerts")


@alerts.command()
@click.argument("prefix", metavar="HASH")
@json_option
def show(prefix: str, as_json: bool) -> None:
    """Show one alert and its history. The beginning of the HASH is enough.

    \b
    securitybot alerts show 3f2a9c81d0be
    """
    from common.records.queries import alert_history

    with open_record() as record:
        row = record.read(lambda connection: _one(connection, prefix))
        history = record.read(lambda connection: alert_history(connection, row["hash"]))
    if as_json:
        print_json(row | {"history": history})
        return
    print_facts({name: value for name, value in row.items() if name != "id" and value is not None})
    click.echo()
    print_table(history, {"at": "at", "actor": "who", "action": "what", "detail": "detail"}, "no history")


def _one(connection: Any, prefix: str) -> dict[str, Any]:
    from common.records.queries import HASH_DIGITS, find_alerts

    digits = prefix.lower()
    if not SHORTEST_PREFIX <= len(digits) <= HASH_DIGITS or set(digits) - set("0123456789abcdef"):
        raise click.UsageError(f"HASH must be {SHORTEST_PREFIX} to {HASH_DIGITS} hex digits")
    found = find_alerts(connection, digits)
    if not found:
        raise ChangeRefused(f"no alert has a hash that begins with {digits}; see `securitybot alerts list`")
    if len(found) > 1:
        raise ChangeRefused(f"several alerts have a hash that begins with {digits}; give more digits")
    return found[0]
