"""How a question is laid out, for the bot, which asks it, and the console, which previews it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from common.alerts import Severity
from common.messages import Button, ChatContent, Part
from common.texts import Texts

ANSWER_BUTTONS = ("yes", "no", "not_sure", "wrong_person")
_STYLES: Mapping[str, str] = {
    "yes": "primary",
    "no": "danger",
    "push": "primary",
    "approve": "primary",
    "refuse": "danger",
}


class Shown(Protocol):
    """What a card shows of an alert."""

    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def url(self) -> str | None: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def source(self) -> str: ...
    @property
    def event_time(self) -> datetime: ...


def question_card(texts: Texts, summary: str, about: Sequence[Part], subject: str | None = None) -> ChatContent:
    """Return the card that asks somebody: greeting, what it is `about`, the question, and the buttons."""
    return ChatContent(
        summary=summary,
        parts=(Part(kind="text", text=summary), *about, Part(kind="text", text=texts.question_ask)),
        buttons=buttons(texts, ANSWER_BUTTONS),
        comment_label=texts.label_comment,
        subject=subject,
    )


def alert_parts(texts: Texts, alert: Shown, zone: ZoneInfo) -> list[Part]:
    """Return the alert itself."""
    parts = [Part(kind="heading", text=alert.title), Part(kind="text", text=alert.description)]
    if alert.reason:
        parts.append(Part(kind="quote", text=alert.reason))
    facts = (
        (texts.label_when, local_time(alert.event_time, zone)),
        (texts.label_severity, alert.severity.value),
        (texts.label_source, alert.source),
    )
    parts.append(Part(kind="facts", facts=facts))
    if alert.url:
        parts.append(Part(kind="link", text=texts.question_link, url=alert.url))
    return parts


def more_parts(texts: Texts, more: int) -> list[Part]:
    """Return the line about other alerts like it, if there are any."""
    return [Part(kind="text", text=texts.render("question_more", count=str(more)))] if more else []


def buttons(texts: Texts, actions: Sequence[str]) -> tuple[Button, ...]:
    """Return the buttons for these actions."""
    return tuple(_button(action, getattr(texts, f"button_{action}")) for action in actions)


@lru_cache(maxsize=64)
def _button(action: str, label: str) -> Button:
    return Button.model_validate({"action": action, "label": label, "style": _STYLES.get(action)})


def local_time(moment: datetime, zone: ZoneInfo) -> str:
    """Return `moment` as the person's clock shows it."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
