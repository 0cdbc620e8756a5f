"""The local chat in a terminal: what one person sees of their conversation, and what they type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, or_, select

from common.messages import ChatContent, Part
from common.records.tables import ChatDeliveryRow
from services.cli.output import visible

DELIVERIES = ChatDeliveryRow.__table__


@dataclass(frozen=True, slots=True)
class Line:
    """What one typed line means: a word to the bot, or a click on a button."""

    text: str = ""
    action: str | None = None
    subject: str | None = None


@dataclass(slots=True)
class TerminalChat:
    """Follows the deliveries to a person and to the reporting channel; remembers which buttons can be clicked."""

    person_id: str
    channel: str
    _after: int = 0
    """Sequence of the last message shown."""
    _reported: set[str] = field(default_factory=set)
    _buttons: Mapping[str, str] = field(default_factory=dict)
    """What can be typed instead of a click (number, action, label) → action."""
    _subject: str | None = None
    _card: str | None = None
    """The message with those buttons."""

    def skip_old(self, connection: Connection, first_shown: int | None) -> None:
        """Show only what comes from `first_shown` on (a sequence; None: only what is new)."""
        rows = connection.execute(select(DELIVERIES.c.message_id, DELIVERIES.c.recipient_kind, DELIVERIES.c.sequence))
        for row in rows:
            if row.recipient_kind == "channel":
                self._reported.add(row.message_id)
            elif first_shown is None or row.sequence < first_shown:
                self._after = max(self._after, row.sequence)

    def news(self, connection: Connection) -> Iterator[tuple[str, bool]]:
        """Yield the text of every message delivered since the last call, and whether it is for the person."""
        mine = (DELIVERIES.c.recipient_id == self.person_id) & (DELIVERIES.c.sequence > self._after)
        reports = (DELIVERIES.c.recipient_id == self.channel) & DELIVERIES.c.message_id.not_in(self._reported)
        rows = connection.execute(
            select(DELIVERIES)
            .where(DELIVERIES.c.kind == "send", DELIVERIES.c.state == "sent", or_(mine, reports))
            .order_by(DELIVERIES.c.created_at, DELIVERIES.c.sequence)
        ).all()
        for row in rows:
            content = ChatContent.model_validate(row.content)
            if row.recipient_kind == "channel":
                self._reported.add(row.message_id)
                yield f"  [#{self.channel}] " + visible(content.summary), False
            else:
                self._after = max(self._after, row.sequence)
                for line in self._message(row.message_id, content):
                    yield line, True
        self._forget_answered(connection)

    def read(self, line: str) -> Line:
        """Return what the person means: the number or label of a button is a click, everything else is typed."""
        typed = line.strip()
        action = self._buttons.get(typed.casefold())
        if action is None:
            return Line(text=typed)
        self._buttons = {}
        return Line(action=action, subject=self._subject)

    def _forget_answered(self, connection: Connection) -> None:
        """A card that was answered in words has no buttons any more."""
        if not self._buttons or self._card is None:
            return
        updates = connection.scalars(
            select(DELIVERIES.c.content).where(DELIVERIES.c.target == self._card, DELIVERIES.c.state == "sent")
        )
        if any(not ChatContent.model_validate(content).buttons for content in updates):
            self._buttons = {}

    def _message(self, message_id: str, content: ChatContent) -> Iterator[str]:
        yield ""
        prefix = "securitybot: "
        for text in (line for part in content.parts for line in _lines(part)):
            yield prefix + text
            prefix = " " * len(prefix)
        if not content.buttons:
            return
        numbered = list(enumerate(content.buttons, 1))
        yield " " * 13 + "  ".join(f"[{number}] {visible(button.label)}" for number, button in numbered)
        self._subject, self._card = content.subject, message_id
        self._buttons = {str(number): button.action for number, button in numbered} | {
            name.casefold(): button.action
            for button in content.buttons
            for name in (button.label, button.action)
            if name not in ("yes", "no")  # typed words, which may carry a why
        }
        if "approve" in self._buttons:
            self._buttons |= {"yes": "approve", "no": "refuse"}


def _lines(part: Part) -> list[str]:
    """Return a part of a message as lines; everything in it is shown, nothing acted on."""
    match part.kind:
        case "heading":
            return [f"*** {visible(part.text)} ***"]
        case "quote" | "code":
            return [f"| {visible(line)}" for line in part.text.splitlines()]
        case "link":
            return [f"{visible(part.text)}: {visible(part.url or '')}"]
        case "facts":
            return [f"{visible(label)}: {visible(value)}" for label, value in part.facts]
        case _:
            return [visible(line) for line in part.text.splitlines()]


def shown_verdict(row: Any) -> dict[str, Any]:
    """Return what the demo shows of an alert that has its verdict."""
    names = ("title", "resolution", "performed", "authenticated", "comment", "status", "responded_at", "closed_at")
    return {name: getattr(row, name) for name in names}
