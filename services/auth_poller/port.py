"""What a second factor can do. Adapters are found by entry point (`securitybot.auth`): `from_settings(settings)`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, Protocol

from common.errors import Temporary
from common.messages import AuthResult


class State(StrEnum):
    """Where a request stands; the order is the only one it can take."""

    NEW = "new"
    """Nothing was asked yet: anybody may begin, or begin again."""
    ASKING = "asking"
    """A call that may have started a push was begun: nobody may make it a second time."""
    ASKED = "asked"
    """The second factor has given its transaction: anybody may poll it."""
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Request:
    """One `StartAuthentication`, as the record keeps it."""

    request_id: str
    person_id: str
    username: str
    title: str
    facts: tuple[tuple[str, str], ...]
    expires_at: datetime
    state: State = State.NEW
    transaction: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A push can be sent. For a verified push, the transaction and the code that `prepare` reserved for it."""

    transaction: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The second factor has taken the request."""

    transaction: str
    """The second factor's own id of it, at most 255 characters."""
    code: str | None = None
    """What the person has to type into the push, at most 16 characters."""
    approve_in_chat: bool = False
    """Not polled: clicks in chat settle it (`answered`), or it expires."""
    open_for: timedelta = timedelta(0)
    """How long from now the person can answer. It is polled until then, even where the request's time is over before:
    otherwise nobody would hear of an approval or a fraud."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The end of a request. Only `AuthResult.APPROVED` is proof."""

    result: AuthResult
    detail: str = ""
    """The second factor's own word for it."""


class AuthTemporary(Temporary):
    """The second factor could not be reached or did not want to answer now."""

    def __init__(self, cause: str, *, may_have_started: bool = False) -> None:
        super().__init__(cause)
        self.may_have_started = may_have_started
        """Whether a push may be on its way although no answer came. It must not be sent again then."""


Answer = Literal["approve", "refuse"]


class Authenticator(Protocol):
    """A second factor. Every method is called from many threads at once and may block, but for a bounded time."""

    def prepare(self, request: Request) -> Prepared | Settled:
        """Find out whether and how this person can be asked. Sends nothing, so it may be repeated.

        Raises:
            AuthTemporary: try again.
        """

    def start(self, request: Request, prepared: Prepared) -> Started | Settled:
        """Send the push. Called again only after an `AuthTemporary` that says that nothing was started.

        Raises:
            AuthTemporary: with `may_have_started` set where that is not certain.
        """

    def poll(self, transaction: str, most: float) -> Settled | None:
        """Wait for the answer, at most about `most` seconds; None: not yet.

        Raises:
            AuthTemporary: try again.
        """

    def answered(self, request: Request, answer: Answer) -> Settled | None:
        """Return what a click in chat by the request's own person settles; None where chat settles nothing."""

    def check(self) -> str | None:
        """Return None when the second factor can be used, otherwise what is wrong and what to do, in one line.

        An adapter may have `inspect() -> Mapping[str, str | None]` too: what else `securitybot check` is to tell once
        this is passed, by name; it sends no push.
        """
