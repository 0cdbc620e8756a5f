"""The local chat: no chat system at all.

A message is its row in `chat_deliveries`; the terminal of the demo and the web chat show the rows, and publish what
their user says with `common.local_chat.local_reply`.

Everybody whose handle looks like a user name or an e-mail address is known. The chat id is the user name in lower
case, so `Alice`, `alice` and `alice@example.com` are the same person: do not use it where that is not so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from starlette.routing import BaseRoute

from common.messages import ChatContent, Recipient
from common.runnable import Runnable
from common.settings import Settings
from services.chat_gateway.port import Intake, Person, Posted

_HANDLE = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]{0,62})(?P<domain>@[a-z0-9][a-z0-9.-]{0,180})?")


class LocalChat:
    """Every call works at once."""

    def send(self, recipient: Recipient, content: ChatContent, message_id: str) -> Posted:
        """Nothing to do: the row is the message."""
        del content
        return Posted(recipient.id, message_id)

    def update(self, channel: str, posted_as: str, content: ChatContent, message_id: str) -> None:
        """Nothing to do: the newest row of the message is shown."""

    def find(self, recipient: Recipient, message_id: str, since: datetime) -> Posted | None:
        """Always there, for the same reason."""
        del since
        return Posted(recipient.id, message_id)

    def directory(self) -> Iterator[Person]:
        """Nobody until asked for."""
        return iter(())

    def look_up(self, handle: str) -> Person | None:
        """Return the person of that name or address, whoever it is."""
        match = _HANDLE.fullmatch(handle.strip().lower())
        if match is None:
            return None
        name = match["name"]
        email = name + match["domain"] if match["domain"] else None
        return Person(name, name, email, name, time_zone=None, locale=None, active=True)

    def listen(self, intake: Intake) -> Sequence[Runnable]:
        """Nothing: terminal and web chat publish replies themselves."""
        del intake
        return ()

    def routes(self, intake: Intake) -> Sequence[BaseRoute]:
        """None."""
        del intake
        return ()

    def check(self) -> str | None:
        """Always well."""
        return None


def from_settings(settings: Settings) -> LocalChat:
    """Entry point `local`."""
    del settings
    return LocalChat()
