"""The fake workspace: people, channels, messages. Thread-safe; knows nothing of HTTP."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field
from typing import Any

TEAM = "T0FAKE001"
APP = "A0FAKE001"
BOT_USER = "U0BOT0001"
BOT = "B0BOT0001"
Object = dict[str, Any]


class SlackRefuses(Exception):
    """The error code that Slack answers with."""

    def __init__(self, code: str, *details: str) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


@dataclass(slots=True)
class User:
    """Somebody in the workspace."""

    id: str
    name: str
    email: str | None
    real_name: str
    tz: str = "Europe/Berlin"
    locale: str = "en-US"
    deleted: bool = False
    is_bot: bool = False
    team_id: str = TEAM
    """Another one: somebody of another workspace, whom a shared channel or the same Enterprise Grid brings here."""
    enterprise_id: str | None = None
    is_stranger: bool = False
    """Of another workspace, and in no channel that the bot sees."""

    def as_slack_shows(self) -> Object:
        """Return the user object of the Web API."""
        profile = {"real_name": self.real_name, "display_name": self.name.title()}
        grid = {"enterprise_user": {"id": self.id, "enterprise_id": self.enterprise_id, "teams": [self.team_id]}}
        foreign = {"is_stranger": self.is_stranger} if self.team_id != TEAM else {}
        return {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "deleted": self.deleted,
            "is_bot": self.is_bot,
            "tz": self.tz,
            "locale": self.locale,
            "profile": profile | ({"email": self.email} if self.email else {}),
            **foreign,
            **(grid if self.enterprise_id else {}),
        }


@dataclass(slots=True)
class Channel:
    """A channel or somebody's direct messages with the bot."""

    id: str
    user: str | None = None
    member: bool = True
    messages: list[Object] = field(default_factory=list)


class Workspace:
    """What Slack keeps."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.users: dict[str, User] = {}
        self.enterprise_id: str | None = None
        """The Enterprise Grid that the workspace belongs to."""
        self.channels: dict[str, Channel] = {}
        self._direct: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._last = 0
        self.users[BOT_USER] = User(BOT_USER, "securitybot", None, "securitybot", is_bot=True)

    def number(self) -> int:
        """Return a new number for an id."""
        return next(self._numbers)

    def stamp(self) -> str:
        """Return a new `ts`, later than all before."""
        with self.lock:
            self._last = max(self._last + 1, time.time_ns() // 1000)
            return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"

    def add_user(self, name: str, email: str | None = None, **more: Any) -> User:
        """Let somebody join."""
        with self.lock:
            user_id = more.pop("id", None) or f"U{self.number():08d}"
            user = User(user_id, name, email, more.pop("real_name", name.title()), **more)
            self.users[user_id] = user
            return user

    def add_channel(self, channel_id: str, *, member: bool = True) -> Channel:
        """Create a channel."""
        with self.lock:
            channel = self.channels[channel_id] = Channel(channel_id, member=member)
            return channel

    def direct(self, user_id: str) -> Channel:
        """Return the person's direct messages with the bot, opened if need be."""
        with self.lock:
            if user_id not in self._direct:
                channel = self.add_channel(f"D{user_id[1:]}")
                channel.user = user_id
                self._direct[user_id] = channel.id
            return self.channels[self._direct[user_id]]

    def move_direct(self, user_id: str) -> None:
        """Give the person's direct messages another id, as a migration may; nobody knows the old one any more."""
        with self.lock:
            channel = self.channels.pop(self.direct(user_id).id)
            channel.id = self._direct[user_id] = f"D{self.number():08d}"
            self.channels[channel.id] = channel

    def user(self, user_id: str) -> User:
        """Return a user, or refuse."""
        if user_id not in self.users:
            raise SlackRefuses("user_not_found")
        return self.users[user_id]

    def channel(self, channel_id: object) -> Channel:
        """Return a channel that the bot may write to, or refuse."""
        channel = self.channels.get(str(channel_id))
        if channel is None or (channel.user and self.users[channel.user].deleted):
            raise SlackRefuses("channel_not_found")
        if not channel.member:
            raise SlackRefuses("not_in_channel")
        return channel

    def post(self, channel: Channel, message: Object) -> Object:
        """Add a message, give it its `ts`."""
        with self.lock:
            posted = {"type": "message", "ts": self.stamp(), **message}
            channel.messages.append(posted)
            return posted

    def find(self, channel: Channel, ts: object) -> Object:
        """Return a message, or refuse."""
        with self.lock:
            for message in reversed(channel.messages):
                if message["ts"] == ts:
                    return message
        raise SlackRefuses("message_not_found")
