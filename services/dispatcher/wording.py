"""Decisions → chat messages: texts filled in and laid out as parts. Pure; the gateway decides how parts look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from common.alerts import Resolution
from common.messages import Button, ChatContent, Part
from services.dispatcher.chat_commands import Commands
from services.dispatcher.conversation_state import AskedAlert, Question
from services.dispatcher.texts import Texts

ANSWER_BUTTONS = ("yes", "no", "not_sure", "wrong_person")
_STYLES: Mapping[str, str] = {
    "yes": "primary",
    "no": "danger",
    "push": "primary",
    "approve": "primary",
    "refuse": "danger",
}


class Wording:
    """Builds chat messages from the configured texts."""

    def __init__(self, texts: Texts, commands: Commands) -> None:
        self.texts = texts
        self._commands = commands

    def plain(
        self, key: str, values: Mapping[str, str], buttons: Sequence[str] = (), subject: str | None = None
    ) -> ChatContent:
        """Return a message of one text, with buttons if it asks something."""
        if key in ("help", "help_all"):
            return self._help(everything=key == "help_all")
        text = self.texts.render(key, **values)
        return ChatContent(
            summary=text, parts=(Part(kind="text", text=text),), buttons=self._buttons(buttons), subject=subject
        )

    def question(self, question: Question, name: str, zone: ZoneInfo, greeting: str) -> ChatContent:
        """Return the card of a question that waits for its answer."""
        first = question.first
        summary = self.texts.render(f"question_{greeting}", name=name, title=first.title)
        parts = [Part(kind="text", text=summary), *self._alert(first, zone)]
        parts += self._more(question)
        parts.append(Part(kind="text", text=self.texts.question_ask))
        return ChatContent(
            summary=summary,
            parts=tuple(parts),
            buttons=self._buttons(ANSWER_BUTTONS),
            comment_label=self.texts.label_comment,
            subject=question.id,
        )

    def answered(self, question: Question, zone: ZoneInfo, result: str) -> ChatContent:
        """Return the card of a question that has its answer: no buttons, and what came of it."""
        text = self.texts.render(result)
        parts = [*self._alert(question.first, zone), *self._more(question), Part(kind="text", text=text)]
        return ChatContent(summary=text, parts=tuple(parts))

    def report(self, alert: AskedAlert, resolution: Resolution, person: str, said: str, *, count: int) -> ChatContent:
        """Return what the reporting channel hears of a resolution of `count` alerts."""
        summary = self.texts.render(
            "report_resolution", person=person, resolution=resolution.value.replace("_", " "), title=alert.title,
            count=str(count),
        )  # fmt: skip
        facts = [(self.texts.label_owner, person)]
        if said:
            facts.append((self.texts.label_said, said[:1500]))
        facts.append((self.texts.label_severity, alert.severity.value))
        facts.append((self.texts.label_description, alert.description))
        parts = [Part(kind="heading", text=summary), Part(kind="facts", facts=tuple(facts))]
        if alert.url:
            parts.append(Part(kind="link", text=self.texts.question_link, url=alert.url))
        return ChatContent(summary=summary, parts=tuple(parts))

    def _alert(self, alert: AskedAlert, zone: ZoneInfo) -> list[Part]:
        parts = [Part(kind="heading", text=alert.title), Part(kind="text", text=alert.description)]
        if alert.reason:
            parts.append(Part(kind="quote", text=alert.reason))
        facts = (
            (self.texts.label_when, local_time(alert.event_time, zone)),
            (self.texts.label_severity, alert.severity.value),
            (self.texts.label_source, alert.source),
        )
        parts.append(Part(kind="facts", facts=facts))
        if alert.url:
            parts.append(Part(kind="link", text=self.texts.question_link, url=alert.url))
        return parts

    def _more(self, question: Question) -> list[Part]:
        if question.count == 1:
            return []
        return [Part(kind="text", text=self.texts.render("question_more", count=str(question.count - 1)))]

    def _buttons(self, actions: Sequence[str]) -> tuple[Button, ...]:
        return tuple(
            Button.model_validate(
                {"action": action, "label": getattr(self.texts, f"button_{action}"), "style": _STYLES.get(action)}
            )
            for action in actions
        )

    def _help(self, *, everything: bool) -> ChatContent:
        shown = [words for _, words in self._commands.all() if everything or not words.hidden]
        facts = tuple((words.words[0], words.help) for words in shown)
        parts = (Part(kind="text", text=self.texts.help), Part(kind="facts", facts=facts))
        return ChatContent(summary=self.texts.help, parts=parts)


def local_time(moment: datetime, zone: ZoneInfo) -> str:
    """Return `moment` as the person's clock shows it."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
