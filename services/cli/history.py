"""`securitybot history`: whether it is what was written."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from services.cli.options import json_option
from services.cli.output import plain, print_facts, print_json, print_table
from services.cli.session import Record, open_record, read_settings

if TYPE_CHECKING:
    from common.records.history_verification import Verification

_KEPT = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


@click.group()
def history() -> None:
    """Who did what to which alert when."""


@history.command()
@click.option(
    "--seal", "kept", multiple=True, metavar="NUMBER:HASH",
    help="A seal that was kept elsewhere (the log line `history_sealed`, an earlier `verify`): it must still be there.",
)  # fmt: skip
@json_option
@click.pass_context
def verify(context: click.Context, kept: tuple[str, ...], as_json: bool) -> None:
    """Look for rows of the history that were changed, removed or put in since they were sealed; exit 1 if there are.

    \b
    securitybot history verify
    securitybot history verify --json --seal 1234:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    """
    from common.records.history_verification import Verification

    verification = Verification(read_settings().history_keys(), dict(_kept(word) for word in kept))
    with open_record() as record:
        _run(record, verification)
    if as_json:
        print_json(_as_json(verification))
    else:
        _print(verification)
    if not verification.is_sound:
        told = ", ".join(f"{number} {fault}" for fault, number in sorted(verification.faults.items()))
        click.echo(f"securitybot: the history is not what was sealed: {told}; find out who could write to it", err=True)
        context.exit(1)


def _kept(word: str) -> tuple[int, str]:
    match = _KEPT.fullmatch(word.lower())
    if match is None:
        raise click.BadParameter(f"{word!r} is no NUMBER:HASH, as `securitybot history verify` prints it")
    return int(match[1]), match[2]


def _run(record: Record, verification: Verification) -> None:
    from common.records.history import last_seal

    last = record.read(last_seal)
    with _progress(last.number if last else 0) as advance:
        for _ in verification.run(record.read):
            advance()


@contextmanager
def _progress(seals: int) -> Iterator[Any]:
    """A bar on standard error where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TextColumn("seals"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=sys.stdout.isatty(), transient=True) as bar:
        task = bar.add_task("verify", total=seals)
        yield lambda: bar.advance(task)


def _print(verification: Verification) -> None:
    last, since = verification.last, verification.key_since
    key = f"since seal {since.number} ({since.sealed_at} UTC)" if since else "no"
    unsealed = str(verification.unsealed)
    if verification.unsealed_since is not None:
        unsealed += f", the first of {plain(verification.unsealed_since)}"
    print_facts(
        {
            "sealed rows": verification.rows,
            "seals": verification.seals,
            "last seal": f"{last.number}:{last.hash}" if last else "none",
            "made with a key": key,
            "not sealed yet": unsealed,
        }
    )
    columns = {"fault": "what", "row": "row", "seal": "seal", "explanation": "why"}
    rows = [{name: getattr(finding, name) for name in columns} for finding in verification.findings]
    print_table(rows, columns, "nothing was changed, removed or put in")
    left_out = verification.faults.total() - len(rows)
    if left_out:
        click.echo(f"… and {left_out} more")


def _as_json(verification: Verification) -> dict[str, Any]:
    last, since = verification.last, verification.key_since
    return {
        "sound": verification.is_sound,
        "sealed_rows": verification.rows,
        "seals": verification.seals,
        "last_seal": {"number": last.number, "hash": last.hash, "sealed_at": f"{last.sealed_at}Z"} if last else None,
        "key_since_seal": since.number if since else None,
        "unsealed_rows": verification.unsealed,
        "unsealed_since": verification.unsealed_since,
        "faults": {str(fault): number for fault, number in sorted(verification.faults.items())},
        "findings": [
            {"fault": f.fault, "row": f.row, "seal": f.seal, "explanation": f.explanation}
            for f in verification.findings
        ],
    }
