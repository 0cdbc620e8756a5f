"""Chat messages on their way: to the person whose conversation it is, and to the reporting channel."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from common.alerts import Severity
from common.ids import derived_id
from common.logs import get_logger
from common.messages import ChatContent, Recipient, SendChatMessage, UpdateChatMessage
from services.dispatcher.configuration import Configuration
from services.dispatcher.decisions import Ask, Refresh, Retell, Tell
from services.dispatcher.desk import Desk
from services.dispatcher.owners import Person
from services.dispatcher.reports import Reports

log = get_logger(__name__)


class Mail:
    """Emits what the gateway is to show."""

    def __init__(self, desk: Desk, config: Configuration) -> None:
        self._desk = desk
        self._config = config
        self._reports = Reports(desk.work)

    def ask(self, person: Person, ask: Ask) -> None:
        """Show a question's card."""
        question = ask.question
        content = self._config.wording.question(question, person.display_name, self._zone(person), ask.greeting)
        message = SendChatMessage(recipient=_to(person), sequence=question.sequence, content=content, notify=True)
        about = question.first.hash
        self._desk.work.emit(message, owner=person.chat_id, about=about, message_id=question.message_id)
        self._desk.work.note("asked", alert=about, person=person.chat_id, question=question.id, alerts=question.count)

    def tell(self, person: Person, tell: Tell) -> None:
        """Send a text."""
        values = {"name": person.display_name} | dict(tell.values)
        content = self._config.wording.plain(tell.text, values, tell.buttons, tell.subject)
        message = SendChatMessage(recipient=_to(person), sequence=tell.sequence, content=content)
        self._desk.work.emit(message, owner=person.chat_id, message_id=tell.message_id)

    def update(self, person: Person, decision: Refresh | Retell) -> None:
        """Let an earlier message show something else."""
        wording, zone = self._config.wording, self._zone(person)
        if isinstance(decision, Retell):
            target, content = decision.message_id, wording.plain(decision.text, decision.values)
        elif decision.result is None:
            target = decision.question.message_id
            content = wording.question(decision.question, person.display_name, zone, "first")
        else:
            target, content = decision.question.message_id, wording.answered(decision.question, zone, decision.result)
        message = UpdateChatMessage(target=target, recipient=_to(person), sequence=decision.sequence, content=content)
        message_id = derived_id("chat", person.chat_id, str(decision.sequence))
        self._desk.work.emit(message, owner=person.chat_id, message_id=message_id)

    def report_about(self, person: Person, text: str, **values: str) -> None:
        """Tell the reporting channel something about a person."""
        content = self._config.wording.plain(text, {"person": self.name(person)} | values)
        self.report(content, urgency=(Severity.CRITICAL if text == "report_fraud" else Severity.LOW).rank)

    def report(
        self, content: ChatContent, channel: str | None = None, about: str | None = None, *, urgency: int
    ) -> None:
        """Tell the reporting channel. Without one the report stays in the history, and a log line says so.

        `urgency`: a severity's rank; where many reports wait, the most urgent go first.
        """
        channel = channel or self._config.reporting_channel
        if channel is None:
            log.warning("no_reporting_channel", alert=about, hint="set SECURITYBOT_REPORTING_CHANNEL")
            self._desk.work.note("report_without_channel", alert=about, summary=content.summary)
            return
        self._reports.tell(channel, content, about, urgency)

    def name(self, person: Person, owner: str | None = None) -> str:
        """Return how the team is told who it is, and what of theirs it is about: a display name could be anybody's."""
        names = [person.username] if person.display_name != person.username else []
        known = {name.lower() for name in (person.chat_id, person.username, person.email) if name}
        if owner is not None and owner.lower().removeprefix("@") not in known:
            names.append(owner)
        return f"{person.display_name} ({', '.join(names)})" if names else person.display_name

    def _zone(self, person: Person) -> ZoneInfo:
        return self._config.policies.working_hours.of(person.time_zone).zone


def _to(person: Person) -> Recipient:
    return Recipient(kind="person", id=person.chat_id)
