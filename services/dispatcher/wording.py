"""Decisions → chat messages: texts filled in and laid out as parts. Pure; the gateway decides how parts look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from common.alerts import Resolution
from common.cards import alert_parts, more_parts, question_card
from common.cards import buttons as make_buttons
from common.messages import ChatContent, Part
from common.texts import Texts
from services.dispatcher.chat_commands import Commands
from services.dispatcher.conversation_state import AskedAlert, Question

MOST_TOGETHER = 20
"""Reports in one message: with a link each, 41 of Slack's 50 blocks."""
MOST_TEXT_TOGETHER = 8_000
"""Characters of all of them, links included: Slack's adapter shows 10,000 of a message, and cuts what is more."""
MOST_OF_LINE = 400
MOST_OF_FACT = 130
MOST_SAID = 1500


class Told(NamedTuple):
    """A report that waits, and the hash of its (first) alert."""

    content: ChatContent
    about: str | None


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
        return question_card(self.texts, summary, self._about(question, zone), question.subject)

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
        facts = [
            (self.texts.label_owner, person),
            (self.texts.label_severity, alert.severity.value),
            (self.texts.label_description, " ".join(alert.description.split())),
        ]
        if said:  # last, and each on one line: strangers' words must not look like the facts about them
            facts.append((self.texts.label_said, _cut(said, MOST_SAID)))
        parts = [Part(kind="heading", text=summary), Part(kind="facts", facts=tuple(facts))]
        if alert.url:
            parts.append(Part(kind="link", text=self.texts.question_link, url=alert.url))
        return ChatContent(summary=summary, parts=tuple(parts))

    def together(self, reports: Sequence[Told]) -> tuple[ChatContent, int]:
        """Return one message for the first of `reports`, and for how many; a single one stays as it is."""
        parts: list[Part] = []
        used = count = 0
        for report in reports[:MOST_TOGETHER]:
            entry = _entry(report)
            used += sum(len(part.text) + len(part.url or "") for part in entry)
            if count and used > MOST_TEXT_TOGETHER:
                break
            parts += entry
            count += 1
        if count == 1:
            return reports[0].content, 1
        summary = self.texts.render("report_many", count=str(count))
        return ChatContent(summary=summary, parts=(Part(kind="text", text=summary), *parts)), count

    def _help(self, *, everything: bool) -> ChatContent:
        shown = [words for _, words in self._commands.all() if everything or not words.hidden]
        facts = tuple((words.words[0], words.help) for words in shown)
        parts = (Part(kind="text", text=self.texts.help), Part(kind="facts", facts=facts))
        return ChatContent(summary=self.texts.help, parts=parts)


def _entry(report: Told) -> list[Part]:
    """Return a report's summary, the id of its alert and its facts in a line each, and its link.

    A line of a stranger's must not look like another report: white space is one space.
    """
    content = report.content
    facts = [_cut(f"{label}: {value}", MOST_OF_FACT) for part in content.parts for label, value in part.facts[1:]]
    lines = [_cut(content.summary, MOST_OF_LINE), " · ".join([*([report.about[:12]] if report.about else []), *facts])]
    text = "\n".join(line for line in lines if line)
    links = [part for part in content.parts if part.kind == "link"]
    return [Part(kind="text", text=f"• {text}"), *links]


def _cut(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
