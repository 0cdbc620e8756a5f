"""`securitybot publish`: one alert from options, or many as JSON lines from standard input."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from common.errors import BadMessage, BusUnavailable
from services.cli.options import SEVERITY
from services.cli.output import print_json_line, visible
from services.cli.session import is_embedded, read_settings

if TYPE_CHECKING:
    from common.alerts import Alert
    from common.bus.port import Bus, Publication

BATCH = 250
DEFAULT_SOURCE = "cli"


@click.command()
@click.argument("lines", metavar="[-]", required=False, type=click.Choice(["-"]))
@click.option("--owner", help="Who is asked: user name, e-mail address, chat id, or a resource of owners.yaml.")
@click.option("--title", help="The same for every alert of its kind.")
@click.option("--description", help="One line, shown to the owner.")
@click.option("--reason", help="Longer context, shown quoted.")
@click.option("--url", help="Where an analyst reads more.")
@click.option("--severity", type=SEVERITY)
@click.option("--source", help=f"Which tool says so; {DEFAULT_SOURCE} where nothing is said.")
@click.option("--event-time", help="When it happened, RFC 3339.")
@click.option("--hash", "hash_", help="64 hex digits that identify the event.")
@click.option("--context", "context_", help="A JSON object with anything else.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: hash or error.")
@click.pass_context
def publish(
    context: click.Context, /, lines: str | None, hash_: str | None, context_: str | None, as_json: bool, **given: Any
) -> None:
    """Publish an alert, or with `-` one alert a line of standard input; prints the hash of each.

    Done when the broker has confirmed it. Exit 1 if an alert was not taken; the others are published all the same.

    \b
    securitybot publish --owner alice --title "sudo on db-7" --description "sudo -i at 12:01"
    jq -c '.alerts[]' export.json | securitybot publish -
    """
    fields = {name: value for name, value in {**given, "hash": hash_, "context": context_}.items() if value is not None}
    if lines is not None and fields:
        raise click.UsageError(f"with - the alerts come from standard input; leave --{next(iter(fields))} out")
    entries = _read_lines(sys.stdin.buffer) if lines is not None else [(1, _alert(fields))]
    settings = read_settings()
    if is_embedded(settings):
        raise click.UsageError(
            "SECURITYBOT_AMQP_URL is memory://, which works within one process only: set it to amqp://…, or try "
            "`securitybot demo`"
        )
    from common.bus import open_bus

    bus = open_bus(settings.amqp_url.get_secret_value())
    try:
        context.exit(0 if Publisher(bus, numbered=lines is not None, as_json=as_json).run(entries) else 1)
    finally:
        bus.close()


class Publisher:
    """Publishes in pipelined batches and tells what became of each alert."""

    def __init__(self, bus: Bus, *, numbered: bool, as_json: bool) -> None:
        self._bus = bus
        self._numbered = numbered
        self._as_json = as_json
        self._published = 0
        self._refused = 0

    def run(self, entries: Iterable[tuple[int, bytes]]) -> bool:
        """Publish all; True when every one was taken.

        Raises:
            BusUnavailable: the broker is away; the text says how many are safe.
        """
        batch: list[tuple[int, Alert, Publication]] = []
        for line, body in entries:
            try:
                batch.append((line, *_prepare(body)))
            except BadMessage as error:
                self._tell_refused(line, error.reason)
            if len(batch) == BATCH:
                self._send(batch)
                batch = []
        self._send(batch)
        return not self._refused

    def _send(self, batch: Sequence[tuple[int, Alert, Publication]]) -> None:
        if not batch:
            return
        publications = [publication for _, _, publication in batch]
        try:
            refused = self._publish(publications)
        except BusUnavailable as error:
            raise BusUnavailable(
                f"{error}; {self._published} alerts are published, those from line {batch[0][0]} on may not be: "
                "publish them again when the broker is back"
            ) from error
        if refused:
            raise BusUnavailable(
                f"the broker refuses alerts (its queue is full, or may not be declared); {self._published} are "
                f"published, those from line {batch[0][0]} on may not be"
            )
        for line, alert, _ in batch:
            self._published += 1
            if self._as_json:
                print_json_line({"line": line, "hash": alert.hash})
            else:
                click.echo(alert.hash)

    def _publish(self, publications: Sequence[Publication]) -> frozenset[int]:
        """Return the indexes of what was refused. Where no service ever ran, exchange and queues are declared here."""
        from common.topology import TOPOLOGY

        try:
            refused = self._bus.publish(publications)
        except BusUnavailable:
            if self._published:
                raise
            refused = frozenset(range(len(publications)))
        if not refused:
            return refused
        self._bus.declare(TOPOLOGY)
        return self._bus.publish([publications[index] for index in sorted(refused)])

    def _tell_refused(self, line: int, reason: str) -> None:
        self._refused += 1
        if self._as_json:
            print_json_line({"line": line, "error": reason})
        else:
            where = f"line {line}: " if self._numbered else ""
            click.echo(f"securitybot: {where}{visible(reason)}", err=True)


def _prepare(body: bytes) -> tuple[Alert, Publication]:
    from common.alert_form import check_size
    from common.alert_publication import prepare
    from common.clock import SystemClock
    from common.ids import new_id
    from common.strict_json import parse_json

    check_size(body)
    return prepare(parse_json(body), source=DEFAULT_SOURCE, message_id=new_id(), received_at=SystemClock().now())


def _alert(fields: dict[str, Any]) -> bytes:
    missing = [f"--{name}" for name in ("owner", "title", "description") if not fields.get(name)]
    if missing:
        raise click.UsageError(
            "say --owner, --title and --description, or - for JSON lines on standard input; "
            f"missing: {', '.join(missing)}"
        )
    if "context" in fields:
        try:
            fields["context"] = json.loads(fields["context"])
        except ValueError:
            raise click.UsageError("--context must be a JSON object") from None
    return json.dumps(fields).encode()


def _read_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    with _progress(stream) as advance:
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield number, line.rstrip(b"\r\n")
            advance(len(line))


@contextmanager
def _progress(stream: BinaryIO) -> Iterator[Any]:
    """A bar on standard error where that is a terminal: by bytes for a file, by lines for a pipe."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    status = os.fstat(stream.fileno())
    size = status.st_size if stat.S_ISREG(status.st_mode) else None
    count = 0
    columns = (TextColumn("publishing"), BarColumn(), TextColumn("{task.fields[lines]} alerts"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task("publish", total=size, lines=0)

        def advance(length: int) -> None:
            nonlocal count
            count += 1
            bar.update(task, advance=length, lines=count)

        yield advance
