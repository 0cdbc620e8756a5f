"""The `securitybot` command: which subcommands there are, and how failures are told (one line, exit 2 or 1)."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from common.errors import BusUnavailable, ConfigurationError, DatabaseUnavailable, SecuritybotError
from services.cli.alerts import alerts
from services.cli.analysts import analysts
from services.cli.bootstrap import bootstrap
from services.cli.check import check
from services.cli.history import history
from services.cli.migrate import migrate
from services.cli.people import people
from services.cli.publish import publish
from services.cli.quarantine import quarantine
from services.cli.run import demo, run
from services.cli.silences import blacklist, ignored
from services.cli.tokens import tokens

FAILURE, USAGE, INTERRUPTED = 1, 2, 130


class CommandLine(click.Group):
    """Tells every failure that is nobody's bug in one line on standard error."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run and exit; without `standalone_mode` the exit code is returned."""
        try:
            for argument in sys.argv[1:] if args is None else args:
                _check_text(argument)
            code = super().main(args, prog_name or "securitybot", complete_var, standalone_mode=False, **extra)
        except (click.ClickException, SecuritybotError, click.Abort, KeyboardInterrupt, BrokenPipeError) as error:
            code = _told(error)
        code = code if isinstance(code, int) else 0
        if standalone_mode:
            sys.exit(code)
        return code


def _check_text(argument: str) -> None:
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise click.UsageError(f"the argument {argument.encode(errors='surrogateescape')!r} is not UTF-8") from None


def _told(error: BaseException) -> int:
    """Tell what went wrong and return the exit code."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
            return USAGE
        case click.ClickException():
            _tell(_with_help(error))
            return error.exit_code
        case ConfigurationError():
            _tell(*error.problems)
            return USAGE
        case BrokenPipeError():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the rest is written nowhere at exit
        case DatabaseUnavailable():
            _tell(f"{error}; is the database up, and is SECURITYBOT_DATABASE_URL right?")
        case BusUnavailable():
            _tell(f"{error}; is the broker up, and is SECURITYBOT_AMQP_URL right?")
        case SecuritybotError():
            _tell(str(error))
        case _:
            _tell("interrupted")
            return INTERRUPTED
    return FAILURE


def _with_help(error: click.ClickException) -> str:
    message = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    return f"{message.rstrip('.')}; see `{context.command_path} --help`"


def _tell(*lines: str) -> None:
    from services.cli.output import visible

    for line in lines:
        click.echo(f"securitybot: {visible(line)}", err=True)


@click.group("securitybot", cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="securitybot", message="%(version)s")
def cli() -> None:
    """Ask the person behind a security alert whether it was them, and have a yes proved.

    Settings come from the environment (SECURITYBOT_…) and from a .env file.

    \b
    Try it:       securitybot demo
    Start it:     securitybot migrate && securitybot run all
    Is it well?   securitybot check
    """


for command in (
    demo, run, bootstrap, migrate, publish, check, alerts, ignored, blacklist, people, quarantine, tokens, analysts,
    history,
):  # fmt: skip
    cli.add_command(command)


def main() -> NoReturn:
    """Entry point of the package."""
    cli.main()
    raise AssertionError("click always exits")
