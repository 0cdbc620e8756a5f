"""Many people at once, each with a habit: they answer by buttons, by words or not at all, and take pushes or do not.

A thread reads what the fake Slack shows them and acts on it, once for each message; a message that still has its
buttons after a while is acted on again, as people do when nothing happens.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from tests.person import buttons
from tests.stack import Stack

Habit = Literal["confirms", "writes", "denies", "is unsure", "is silent", "takes no push", "refuses", "cries fraud"]
HABITS: tuple[Habit, ...] = (
    "confirms", "confirms", "writes", "writes", "denies", "is unsure", "takes no push", "refuses", "is silent",
)  # fmt: skip
"""How people are spread over the habits; who cries fraud is asked for by name: it stops all pushes to them."""
ANSWERS: dict[Habit, str] = {"denies": "no", "is unsure": "not_sure"}
ON_THE_PHONE: dict[Habit, str] = {"refuses": "deny", "cries fraud": "fraud"}
PATIENCE = 8.0
"""Seconds until somebody tries a second time."""
THINKING = 0.05


@dataclass(slots=True)
class Member:
    """Somebody, with what they have read and done."""

    id: str
    name: str
    habit: Habit
    read: int = 0
    acted: dict[str, float] = field(default_factory=dict)
    """Message → when they acted on it last."""


class Crowd:
    """Acts until it is left."""

    def __init__(
        self, stack: Stack, habits: Sequence[Habit], *, verified: bool = False, answer_after: float = 0.1
    ) -> None:
        self._slack = stack.slack
        self.members: list[Member] = []
        for number, habit in enumerate(habits):
            name = f"crowd{number}"
            stack.duo.add_user(name, answers=ON_THE_PHONE.get(habit, "allow"), after=answer_after, verified=verified)
            self.members.append(Member(self._slack.add_user(name, f"{name}@example.com"), name, habit))
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(10)
        if self._failure is not None:
            raise self._failure

    def _live(self) -> None:
        try:
            while not self._stopping.wait(THINKING):
                for member in self.members:
                    self._read(member)
        except BaseException as error:  # noqa: BLE001 - raised where the crowd is left
            self._failure = error

    def _read(self, member: Member) -> None:
        channel = self._slack.workspace.direct(member.id)
        with self._slack.workspace.lock:
            new = [dict(m) for m in channel.messages[member.read :] if m.get("bot_id")]
            member.read = len(channel.messages)
            again = [
                dict(message)
                for ts, at in member.acted.items()
                if time.monotonic() - at > PATIENCE
                for message in channel.messages
                if message["ts"] == ts
            ]
        for message in [*new, *again]:
            if not buttons(message):
                member.acted.pop(message["ts"], None)
                continue
            if self._act(member, message):
                member.acted[message["ts"]] = time.monotonic()

    def _act(self, member: Member, message: dict[str, Any]) -> bool:
        """Do what the member does about a message with buttons; False: nothing."""
        offered = buttons(message)
        if member.habit == "is silent":
            return False
        if "yes" in offered:
            self._answer(member, message, ANSWERS.get(member.habit, "yes"))
        elif "push" in offered:
            self._answer(member, message, "no_push" if member.habit == "takes no push" else "push")
        return True

    def _answer(self, member: Member, message: dict[str, Any], action: str) -> None:
        if member.habit == "writes":
            self._slack.say(member.id, "yes")
        else:
            self._slack.click(member.id, message["ts"], action)
