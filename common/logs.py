"""Logging: structlog and the standard library through one formatter, and no secret gets out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import structlog

from common.hidden_characters import escape_hidden

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger


class _Redactor:
    """Replaces known secret values wherever they turn up, foreign libraries' records and tracebacks included."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = sorted(set(secrets), key=len, reverse=True)

    def __call__(self, _logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        if not self._secrets:
            return event
        return {key: self._clean(value) for key, value in event.items()}

    def _clean(self, value: Any) -> Any:
        if isinstance(value, bool | int | float | None):
            return value
        text = value if isinstance(value, str) else repr(value)
        cleaned = text
        for secret in self._secrets:
            cleaned = cleaned.replace(secret, "[redacted]")
        return value if cleaned == text else cleaned


_OF_MANY_LINES = ("exception", "stack")


def _visible(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Show hidden characters as escapes: text from outside neither forges a line nor moves the cursor.

    Only for the columns: JSON escapes them. What is no text is shown with `repr`, which escapes too.
    """
    return {
        key: escape_hidden(value, "\n\t" if key in _OF_MANY_LINES else "") if isinstance(value, str) else value
        for key, value in event.items()
    }


def configure_logging(
    form: Literal["console", "json"] | None, secrets: Sequence[str] = (), level: str = "INFO"
) -> None:
    """Send every record to standard error: columns on a terminal, otherwise one JSON object a line.

    JSON escapes line breaks and `_visible` does so for the columns: text from an alert cannot forge a line.
    """
    console = form == "console" or (form is None and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.PositionalArgumentsFormatter()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _Redactor(secrets),
            *([_visible] if console else []),
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("pika").setLevel("CRITICAL")  # the bus tells of every failure itself
    for noisy in ("alembic.runtime.plugins", "slack_sdk", "uvicorn.access", "httpx"):
        logging.getLogger(noisy).setLevel("WARNING")
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; events are static snake_case names, everything else is a field."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
