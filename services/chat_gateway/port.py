"""What every chat system can do, and how it can fail. Owned by the gateway; adapters are found by entry point.

ChatFailure
├── ChatRateLimited    wait so long, then the same call may work
├── ChatUnavailable    nothing was carried out; the same call may work later
├── ChatUncertain      it may have been carried out: look before repeating it
└── ChatRefused        it will never work: nobody there, not allowed, not accepted
    ├── ChatUnreachable     but somebody may put the recipient right: the bot is not in the channel, it is archived
    └── ChatContentRefused  but a simpler content may be accepted
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from starlette.routing import BaseRoute

from common.errors import SecuritybotError
from common.messages import ChatContent, Recipient, ReplyReceived
from common.runnable import Runnable


class ChatFailure(SecuritybotError):
    """Base of what a call to a chat system can end in."""


class ChatRateLimited(ChatFailure):
    """The chat system asks to wait; nothing was carried out."""

    def __init__(self, method: str, retry_after: float) -> None:
        super().__init__(f"{method}: rate limited for {retry_after:g} s")
        self.retry_after = retry_after


class ChatUnavailable(ChatFailure):
    """The chat system cannot be reached or cannot work; nothing was carried out."""


class ChatUncertain(ChatFailure):
    """The answer was lost: the call may or may not have been carried out.

    `settles_in`: seconds for which it may still be carried out; looking for it earlier proves nothing.
    """

    def __init__(self, cause: str, settles_in: float = 0.0) -> None:
        super().__init__(cause)
        self.settles_in = settles_in


class ChatRefused(ChatFailure):
    """The chat system says no, and will say so every time. `reason` is its own word for it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ChatUnreachable(ChatRefused):
    """Nothing can be posted there, until whoever looks after the place or the bot has put that right."""


class ChatContentRefused(ChatRefused):
    """The content is at fault, and nothing was posted; a simpler one may be taken."""


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a message can be seen: what `update` needs."""

    channel: str
    posted_as: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the chat system's directory. User name and e-mail address are in lower case."""

    chat_id: str
    username: str
    email: str | None
    display_name: str
    time_zone: str | None
    locale: str | None
    active: bool
    """False for who has left, for bots, and for people of other organisations: none of them is ever asked."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a person wrote or clicked. The same event always has the same id, however often it is delivered."""

    id: str
    message: ReplyReceived


@dataclass(frozen=True, slots=True)
class Attempt:
    """What might be meant to pass for somebody's answer and does not count: a bot's, edited, forged."""

    reason: str
    who: str | None = None
    """The chat id that it came from, where one was given."""
    times: int = 1


class Intake(Protocol):
    """Where an adapter puts what comes in.

    The calls return once it is safe, and only then may the adapter acknowledge it to the chat system.

    Raises:
        Temporary: it is not safe; leave it unacknowledged, so that it comes again.
    """

    def replies(self, replies: Sequence[Reply]) -> None: ...

    def people(self, people: Sequence[Person]) -> None: ...

    def attempts(self, attempts: Sequence[Attempt]) -> None: ...


class Chat(Protocol):
    """A chat system. Its methods are called from several threads at once and raise only `ChatFailure`s."""

    def send(self, recipient: Recipient, content: ChatContent, message_id: str) -> Posted:
        """Post once. `message_id` is kept beside the message, so that `find` recognises it."""

    def update(self, channel: str, posted_as: str, content: ChatContent, message_id: str) -> None:
        """Let a posted message show `content` instead; `message_id` is that of the post."""

    def find(self, recipient: Recipient, message_id: str, since: datetime) -> Posted | None:
        """Look whether `message_id` was posted after `since`; after a lost answer or for a process that died."""

    def directory(self) -> Iterator[Person]:
        """Return everybody."""

    def look_up(self, handle: str) -> Person | None:
        """Ask for one person by chat id or e-mail address, or by user name where the chat system can."""

    def listen(self, intake: Intake) -> Sequence[Runnable]:
        """Return what has to run so that replies arrive; nothing where they come over HTTP or are published."""

    def routes(self, intake: Intake) -> Sequence[BaseRoute]:
        """Return the HTTP routes by which replies arrive."""

    def check(self) -> str | None:
        """Tell what is wrong (for /readyz and `securitybot check`), or None.

        An adapter may have `inspect() -> Mapping[str, str | None]` too: what else `securitybot check` is to tell once
        this is passed, by name; it posts nothing.
        """
