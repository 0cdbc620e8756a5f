"""Every failure that crosses a module boundary.

SecuritybotError
├── ConfigurationError     the operator can fix it: bad settings or YAML; raised before anything is connected
├── ChangeRefused          what an analyst asked for cannot be done as asked; nothing was changed
├── BadMessage             the message's own fault: quarantined with its reason, never retried
└── Temporary              the world's fault: nothing is acknowledged, tried again with growing pauses
    ├── BusUnavailable     the broker is away, blocked or did not confirm
    │   └── BusForbidden   the broker's user may not do it
    └── DatabaseUnavailable  the record is away, read-only, full or locked

Anything else that reaches the worker loop is a bug: logged loudly, and the message quarantined.
"""

from __future__ import annotations


class SecuritybotError(Exception):
    """Base of every failure that this project raises on purpose."""


class ConfigurationError(SecuritybotError):
    """Settings or configuration files cannot be used. `problems` has one line a mistake, each naming what to fix."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ChangeRefused(SecuritybotError):
    """A change of the record that somebody asked for cannot be made. The text is for them: why, and what to do."""


class BadMessage(SecuritybotError):
    """A message that can never be handled. The reason is shown to analysts beside the quarantined body."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Temporary(SecuritybotError):
    """Something outside this process is away; the same work may succeed later."""


class BusUnavailable(Temporary):
    """The broker could not take or confirm what was published, or cannot be reached."""


class BusForbidden(BusUnavailable):
    """The broker's user has not the right to do it. Temporary: an administrator may give it while we wait."""


class DatabaseUnavailable(Temporary):
    """The record cannot be reached or written for the moment."""
