"""A person with a Slack account and a phone: reads cards, clicks, writes, and answers pushes."""

from __future__ import annotations

import itertools
import re
from typing import Any

from tests.fakes.duo import Push
from tests.stack import CHANNEL, Stack
from tests.waiting import eventually

SECONDS = 30.0
_numbers = itertools.count(1)
Message = dict[str, Any]


class Person:
    """Somebody new in the workspace and, unless `phone` is false, at Duo."""

    def __init__(self, stack: Stack, *, phone: bool = True, tell: bool = True, **duo: Any) -> None:
        self.name = f"person{next(_numbers)}"
        self.email = f"{self.name}@example.com"
        self._slack, self._duo = stack.slack, stack.duo
        self.id = (self._slack.join if tell else self._slack.add_user)(self.name, self.email)
        if phone:
            self._duo.add_user(self.name, **duo)
        if tell:
            eventually(lambda: stack.rows("SELECT 1 FROM people WHERE chat_id = :id", id=self.id))

    # --- chat -------------------------------------------------------------------------------------------------------

    def messages(self) -> list[Message]:
        """Return what the bot has written, oldest first, as it looks now."""
        return self._slack.messages_to(self.id)

    def read(self, words: str, timeout: float = SECONDS) -> Message:
        """Wait for a message whose visible text has `words`."""

        def found() -> Message | None:
            return next((message for message in reversed(self.messages()) if words in visible(message)), None)

        try:
            message = eventually(found, timeout)
        except AssertionError:
            raise AssertionError(f"no {words!r} among {[visible(m) for m in self.messages()]}") from None
        assert message is not None
        return message

    def card(self, title: str, timeout: float = SECONDS) -> Message:
        """Wait for the open question about `title`."""

        def found() -> Message | None:
            open_cards = (m for m in self.messages() if title in visible(m) and "yes" in buttons(m))
            return next(open_cards, None)

        try:
            message = eventually(found, timeout)
        except AssertionError:
            raise AssertionError(f"no card {title!r} among {[visible(m) for m in self.messages()]}") from None
        assert message is not None
        return message

    def click(self, message: Message, action: str, comment: str | None = None) -> None:
        """Click a button of a message that was posted to this person."""
        self._slack.click(self.id, message["ts"], action, comment)

    def say(self, text: str, **fields: Any) -> None:
        """Write to the bot."""
        self._slack.say(self.id, text, **fields)

    def offer(self, timeout: float = SECONDS) -> Message:
        """Wait for the offer of a push that is open now."""
        return eventually(lambda: next((m for m in self.messages() if "push" in buttons(m)), {}), timeout)

    # --- the phone --------------------------------------------------------------------------------------------------

    def pushes(self) -> list[Push]:
        """Return the pushes that reached the phone."""
        return [push for push in list(self._duo.pushes) if push.user == self.name]

    def answer_push(self, status: str, timeout: float = SECONDS) -> None:
        """Answer the push once it is there: allow, deny, fraud, timeout."""
        assert eventually(lambda: self._duo.answer(self.name, status), timeout) == 1

    # --- both -------------------------------------------------------------------------------------------------------

    def confirm(self, title: str, comment: str | None = None) -> None:
        """Say yes to the card with its button, have the push sent and approve it."""
        self.click(self.card(title), "yes", comment)
        self.click(self.offer(), "push")
        self.answer_push("allow")


def reported(stack: Stack, *words: str, timeout: float = SECONDS) -> str:
    """Wait until the reporting channel has been told something with all these words, whatever their case."""

    def texts() -> list[str]:
        return [visible(message) for message in stack.slack.messages_in(CHANNEL)]

    def found() -> str | None:
        return next((text for text in texts() if all(word.lower() in text.lower() for word in words)), None)

    try:
        text = eventually(found, timeout)
    except AssertionError:
        raise AssertionError(f"no {words} among {texts()}") from None
    assert text is not None
    return text


def visible(message: Message) -> str:
    """Return everything that Slack would show of a message."""
    return "\n".join([str(message.get("text", "")), *_texts(message.get("blocks", []))])


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for item in value.values() for text in _texts(item)]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []


def buttons(message: Message) -> list[str]:
    """Return the actions that a message offers."""
    blocks = message.get("blocks", [])
    return [element["action_id"] for block in blocks if block["type"] == "actions" for element in block["elements"]]


def code_in(message: Message) -> str:
    """Return the digits that a message tells to type into the push."""
    found = re.search(r": (\d{3,6})\b", str(message["text"]))
    assert found, message["text"]
    return found[1]
