"""Decisions → chat messages: texts filled in and laid out as parts. Pure; the gateway decides how parts look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from common.alerts import Resolution
from common.cards import alert_parts, more_parts, question_card
from common.cards import buttons as make_buttons
from common.messages import ChatContent, Part
from common.texts import Texts
from services.dispatcher.chat_commands import Commands
from services.dispatcher.conversation_state import AskedAlert, Question


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
            summary=text,
            parts=(Part(kind="text", text=text),),
            buttons=make_buttons(self.texts, buttons),
            subject=subject,
        )

    def question(self, question: Question, name: str, zone: ZoneInfo, greeting: str) -> ChatContent:
        """Return the card of a question that waits for its answer."""
        summary = self.texts.render(f"question_{greeting}", name=name, title=question.first.title)
        return question_card(self.texts, summary, self._about(question, zone), question.id)

    def answered(self, question: Question, zone: ZoneInfo, result: str) -> ChatContent:
        """Return the card of a question that has its answer: no buttons, and what came of it."""
        text = self.texts.render(result)
        return ChatContent(summary=text, parts=(*self._about(question, zone), Part(kind="text", text=text)))

    def _about(self, question: Question, zone: ZoneInfo) -> list[Part]:
        more = more_parts(self.texts, question.count - 1)
        return alert_parts(self.texts, question.first, zone) + more

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

    def _help(self, *, everything: bool) -> ChatContent:
        shown = [words for _, words in self._commands.all() if everything or not words.hidden]
        facts = tuple((words.words[0], words.help) for words in shown)
        parts = (Part(kind="text", text=self.texts.help), Part(kind="facts", facts=facts))
        return ChatContent(summary=self.texts.help, parts=parts)
