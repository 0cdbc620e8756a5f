"""`securitybot run` and `demo`."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import click

from common.errors import ConfigurationError
from services.cli.session import is_embedded, read_settings

if TYPE_CHECKING:
    from common.service import Build

WIRINGS = {
    "ingest": "services.ingest.wiring",
    "dispatcher": "services.dispatcher.wiring",
    "chat-gateway": "services.chat_gateway.wiring",
    "auth-poller": "services.auth_poller.wiring",
    "console": "services.console.wiring",  # last: its routes take every path that is left
}
ALL = tuple(WIRINGS)


@click.command()
@click.argument("names", metavar="SERVICE...", nargs=-1, required=True, type=click.Choice([*WIRINGS, "all"]))
@click.pass_context
def run(context: click.Context, names: tuple[str, ...]) -> None:
    """Run one or several services in this process until SIGTERM or Ctrl-C.

    SERVICE is ingest, dispatcher, chat-gateway, auth-poller, console, or all.

    \b
    securitybot run all
    SECURITYBOT_AMQP_URL=amqps://… securitybot run dispatcher
    """
    _load_structlog_alone()
    chosen = ALL if "all" in names else tuple(name for name in WIRINGS if name in names)
    settings = read_settings()
    builds = [load_build(name) for name in chosen]
    if is_embedded(settings) and not set(ALL) <= set(chosen):
        raise click.UsageError(
            "SECURITYBOT_AMQP_URL is memory://, which works within one process only: use `securitybot demo` or "
            "`securitybot run all`, or set it to amqp://…"
        )
    from common import failpoints
    from common.logs import configure_logging
    from common.service import Process, open_runtime

    configure_logging(settings.log_format, settings.secrets())
    failpoints.arm(os.environ)
    context.exit(Process(open_runtime(settings), builds).run())


def _load_structlog_alone() -> None:
    """Keep structlog from loading rich, which it does where rich is installed: 9 MB that a service never uses."""
    if "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment] # makes the import fail, as the import system documents
        try:
            import structlog  # noqa: F401
        finally:
            del sys.modules["rich"]


def load_build(name: str) -> Build:
    """Return the `build` of a service; only what it needs itself is imported.

    Raises:
        ConfigurationError: the service or a package that it needs is not installed.
    """
    module = WIRINGS[name]
    try:
        build: Build = import_module(module).build
    except ModuleNotFoundError as error:
        missing = error.name or "?"
        if module.startswith(missing):
            raise ConfigurationError(f"{name} is not part of this installation") from None
        raise ConfigurationError(
            f"{name} needs the package {missing!r}, which is not installed: install securitybot[{name}]"
        ) from None
    return build


@click.command()
@click.pass_context
def demo(context: click.Context) -> None:
    """Try everything in one process: memory bus, SQLite, local chat, simulated push.

    \b
    securitybot demo
    """
    _load_structlog_alone()
    from services.cli.demo import run_demo

    context.exit(run_demo())
