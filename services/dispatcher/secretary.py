"""Moves conversations on and carries out what they decide, within one unit of work."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Row

from common import metrics
from common.alerts import Alert, Resolution, Severity, Status
from common.bus.port import Publication
from common.ids import derived_id, new_id
from common.logs import get_logger
from common.messages import LookUpPerson, StartAuthentication
from common.topology import ALERTS as ALERTS_EXCHANGE
from services.dispatcher.configuration import Configuration
from services.dispatcher.conversation import advance
from services.dispatcher.conversation_events import AlertsArrived, Event
from services.dispatcher.conversation_state import AskedAlert, Purpose
from services.dispatcher.decisions import (
    Ask,
    BackOff,
    Decision,
    Ignore,
    LookForMore,
    MakeTestAlert,
    Note,
    Push,
    Refresh,
    Report,
    Resolve,
    Retell,
    Start,
    Stop,
    Tell,
    TellStatus,
)
from services.dispatcher.desk import Desk, Silence
from services.dispatcher.mail import Mail
from services.dispatcher.owners import Match, Person
from services.dispatcher.policies import deadline
from services.dispatcher.turn import Rules
from services.dispatcher.verdicts import Verdict, Verdicts, alert_of

log = get_logger(__name__)

TEST_SOURCE = "test"


class Secretary:
    """Keeps every conversation of a batch: `tell_of` an event, and everything that follows is done."""

    def __init__(self, desk: Desk, config: Configuration) -> None:
        self.desk = desk
        self._config = config
        self._mail = Mail(desk, config)
        self._verdicts = Verdicts(desk, config, self._mail)

    # --- alerts -------------------------------------------------------------------------------------------------

    def accept(self, alert: Alert) -> None:
        """Ask the owner of a new alert; an owner whom the directory does not know is looked up first."""
        candidates = self._config.owners.candidates(alert.owner)
        match = self.desk.directory.first_of(alert.owner, candidates)
        if match is None:
            self.desk.place(alert.hash, escalate_at=self._escalate_at(alert, self._rules(None)))
            self.look_up(alert.hash, candidates[0])
        else:
            self.route(alert, match)

    def look_up(self, alert_hash: str, handle: str) -> None:
        """Have the chat system asked who that is."""
        self.desk.work.emit(
            LookUpPerson(handle=handle), about=alert_hash, message_id=derived_id("lookup", alert_hash, handle)
        )

    def route(self, alert: Alert, match: Match) -> None:
        """Give an alert to its person: silenced, asked now, joined to the open question, or waiting behind it."""
        person = match.person
        before = self.desk.conversation(person.chat_id).question
        silence = self._silence(person.chat_id, alert)
        if silence is None:
            arrived = AlertsArrived(AskedAlert.of(alert), 1, alert.severity)
            self.tell_of(person.chat_id, arrived)
        question = self.desk.conversation(person.chat_id).question
        asked = question if silence is None and question is not None and question != before else None
        self.desk.place(
            alert.hash,
            person_id=person.chat_id,
            matched_by=match.matched_by,
            question_id=asked.id if asked else None,
            status=Status.IN_PROGRESS.value if asked else Status.OPEN.value,
            asked_at=self.desk.work.now if asked else None,
            escalate_at=self._escalate_at(alert, self._rules(person)),
        )
        if silence is not None:
            self._silenced([self.desk.alert(alert.hash)], silence, person.chat_id)

    def unknown(self, row: Row[Any]) -> None:
        """Nobody answers to the owner: the team hears of it."""
        self._verdicts.give([row], Verdict(Resolution.UNKNOWN_OWNER), None)

    def not_said(self, row: Row[Any], why: str) -> None:
        """The chat system cannot say who the owner is: the next one of a list would be asked too easily."""
        comment = f"chat could not say who the owner is: {why}"
        self._verdicts.give([row], Verdict(Resolution.UNREACHABLE, comment=comment), None)

    def unhandled(self, row: Row[Any]) -> None:
        """The watchdog: an alert at which the dispatcher itself failed goes to the team."""
        comment = "the dispatcher could not handle it: see the quarantine"
        self._verdicts.give([row], Verdict(Resolution.UNREACHABLE, comment=comment), row.person_id)

    def overdue(self, row: Row[Any]) -> None:
        """The watchdog: an alert that nobody was asked about in time goes to the team."""
        if row.person_id is None:
            verdict = Verdict(Resolution.UNREACHABLE, comment="chat did not say in time who the owner is")
        else:
            verdict = Verdict(Resolution.NO_RESPONSE, comment="not asked in time: other questions came first")
        self._verdicts.give([row], verdict, row.person_id)

    def _silence(self, person_id: str, alert: Alert) -> Silence | None:
        """A critical alert is never ignored, backed off or silenced."""
        return None if alert.severity is Severity.CRITICAL else self.desk.silence(person_id, alert.title)

    def _silenced(self, rows: list[Row[Any]], silence: Silence, person_id: str) -> None:
        resolution = Resolution.BLACKLISTED if silence.title is None else Resolution.IGNORED
        comment = f"{silence.reason} (by {silence.added_by}, until {silence.until:%Y-%m-%d %H:%M} UTC)"
        self._verdicts.give(rows, Verdict(resolution, comment=comment), person_id)

    def _escalate_at(self, alert: Alert, rules: Rules) -> Any:
        policy = self._config.policies.of(alert.title, alert.severity)
        return deadline(policy, rules.hours, self.desk.work.now, policy.escalate_within)

    # --- conversations --------------------------------------------------------------------------------------------

    def tell_of(self, person_id: str, event: Event) -> None:
        """Let something happen to a conversation, and do what it decides."""
        person = self.desk.person(person_id)
        talk, decisions = advance(self.desk.conversation(person_id), event, self._rules(person), self.desk.work.now)
        self.desk.keep(talk)
        for decision in decisions:
            self._carry_out(person, decision)

    def _rules(self, person: Person | None) -> Rules:
        policies = self._config.policies
        hours = policies.working_hours.of(person.time_zone if person else None)
        return Rules(policies, hours, self._config.second_factor)

    def _carry_out(self, person: Person, decision: Decision) -> None:  # noqa: C901 - one line a kind of decision
        match decision:
            case Tell():
                self._mail.tell(person, decision)
            case Ask():
                self._mail.ask(person, decision)
            case Refresh() | Retell():
                self._mail.update(person, decision)
            case Push():
                self._push(person, decision)
            case Resolve():
                self._resolve(person, decision)
            case BackOff() | Ignore() | Stop():
                self._add_silence(person, decision)
            case Start():
                self._start(person, decision)
            case Report(text, values):
                self._mail.report_about(person, text, **values)
            case Note():
                self._note(person, decision)
            case MakeTestAlert():
                self._make_test_alert(person)
            case TellStatus():
                self._status(person, decision)
            case LookForMore():
                self._look_for_more(person)

    # --- verdicts and silence -------------------------------------------------------------------------------------

    def _resolve(self, person: Person, resolve: Resolve) -> None:
        question = resolve.question
        rows = self.desk.of_question(question.id)
        if resolve.resolution is Resolution.UNREACHABLE:
            rows = [row for row in rows if not self._ask_next_owner(row, person)]
        verdict = Verdict(
            resolve.resolution,
            resolve.performed,
            resolve.authenticated,
            resolve.comment,
            (question.answered_at or self.desk.work.now) if resolve.responded else None,
            by=f"person:{person.chat_id}" if resolve.responded else "dispatcher",
            severity=Severity.CRITICAL if resolve.resolution is Resolution.PROOF_FRAUD else None,
        )
        self._verdicts.give(rows, verdict, person.chat_id)

    def _ask_next_owner(self, row: Row[Any], missed: Person) -> bool:
        """Where `config/owners.yaml` lists several people, ask the one after whom chat could not reach."""
        candidates = self._config.owners.candidates(row.owner)
        self.desk.load_people(candidates)
        people = [match.person.chat_id if (match := self.desk.directory.find(c)) else None for c in candidates]
        if missed.chat_id not in people:
            return False
        rest = candidates[people.index(missed.chat_id) + 1 :]
        match = self.desk.directory.first_of(row.owner, rest)
        if match is None or match.person.chat_id == missed.chat_id:
            return False
        self.desk.work.note("passed_on", alert=row.hash, person=match.person.chat_id, unreachable=missed.chat_id)
        self.route(alert_of(row), match)
        return True

    def _add_silence(self, person: Person, decision: BackOff | Ignore | Stop) -> None:
        actor, title = f"person:{person.chat_id}", None if isinstance(decision, Stop) else decision.title
        if isinstance(decision, BackOff):
            self.desk.add_silence(person.chat_id, Silence(title, actor, "confirmed with proof", decision.until))
            return
        reason = "asked for with `stop`" if isinstance(decision, Stop) else "asked for with `ignore`"
        self.desk.add_silence(person.chat_id, Silence(title, actor, reason, decision.until))
        word = self._config.wording.texts.proof_fresh if decision.proved else self._config.wording.texts.proof_none
        until = f"{decision.until:%Y-%m-%d %H:%M} UTC"
        kind = "stop" if isinstance(decision, Stop) else "ignore"
        self._mail.report_about(person, f"report_{kind}", title=title or "", until=until, proof=word)
        self.desk.work.note(kind, person=person.chat_id, actor=actor, title=title, until=until, proved=decision.proved)

    def _start(self, person: Person, decision: Start) -> None:
        lifted = self.desk.lift_own_blacklisting(person.chat_id)
        refused = self.desk.is_blacklisted(person.chat_id)
        self._mail.tell(person, Tell(decision.message_id, decision.sequence, "start_refused" if refused else "started"))
        if lifted:
            self.desk.work.note("start", person=person.chat_id, actor=f"person:{person.chat_id}")
        if lifted and not refused:
            self._mail.report_about(person, "report_start")

    def _status(self, person: Person, decision: TellStatus) -> None:
        talk = self.desk.conversation(person.chat_id)
        waiting = self.desk.count_waiting(person.chat_id)
        values = {"waiting": str(waiting)}
        if talk.question is not None:
            text, values = "status_open", values | {"title": talk.question.first.title}
        elif talk.proof is not None:
            text = "status_proof"
        else:
            text = "status_waiting" if waiting else "status_nothing"
        self._mail.tell(person, Tell(decision.message_id, decision.sequence, text, values))

    # --- the rest ---------------------------------------------------------------------------------------------------

    def _push(self, person: Person, push: Push) -> None:
        texts = self._config.wording.texts
        question, purpose = push.question, push.proof.purpose
        title = question.first.title if purpose is Purpose.ANSWER and question else push.proof.title
        facts: tuple[tuple[str, str], ...] = ()
        if purpose is Purpose.ANSWER and question:
            facts = ((texts.label_description, question.first.description), (texts.label_source, question.first.source))
        message = StartAuthentication(
            request_id=push.request_id,
            person_id=person.chat_id,
            username=second_factor_name(person),
            title=texts.render(f"push_title_{purpose}", title=title),
            facts=facts,
            expires_at=push.expires_at,
        )
        about = question.first.hash if question else None
        self.desk.work.emit(message, owner=person.chat_id, about=about, message_id=derived_id("start", push.request_id))
        self.desk.work.note("push_started", alert=about, person=person.chat_id, actor=f"person:{person.chat_id}",
                            request=push.request_id, purpose=purpose.value)  # fmt: skip

    def _note(self, person: Person, note: Note) -> None:
        question = self.desk.conversation(person.chat_id).question
        about = question.first.hash if question else None
        actor = f"person:{person.chat_id}"
        self.desk.work.note(note.action, alert=about, person=person.chat_id, actor=actor, **note.detail)
        if note.refused:
            metrics.REPLIES.labels("refused").inc()
            log.warning("reply_refused", person=person.chat_id, reason=note.action)

    def _make_test_alert(self, person: Person) -> None:
        texts = self._config.wording.texts
        alert = {
            "owner": person.chat_id,
            "title": texts.test_title,
            "description": texts.test_description,
            "severity": "low",
        }
        body = json.dumps(alert).encode()
        self.desk.work.publish(Publication(ALERTS_EXCHANGE, f"alert.{TEST_SOURCE}", body, message_id=new_id()))

    def _look_for_more(self, person: Person) -> None:
        """Ask about what waits, the worst and oldest first, passing over what has been silenced meanwhile."""
        person_id = person.chat_id
        while self.desk.conversation(person_id).question is None:
            rows = self.desk.waiting(person_id)
            if not rows:
                return
            silence = self.desk.silence(person_id, rows[0].title)
            if silence is not None:
                quiet = [row for row in rows if row.severity != Severity.CRITICAL]
                self._silenced(quiet, silence, person_id)
                rows = [row for row in rows if row.severity == Severity.CRITICAL]
            if rows:
                self._ask_waiting(person_id, rows)
                return

    def _ask_waiting(self, person_id: str, rows: list[Row[Any]]) -> None:
        worst = max((alert_of(row) for row in rows), key=lambda alert: alert.severity.rank)
        self.tell_of(person_id, AlertsArrived(AskedAlert.of(worst), len(rows), worst.severity, follows=True))
        question = self.desk.conversation(person_id).question
        if question is None:  # it waits for working hours
            return
        for row in rows:
            self.desk.place(
                row.hash, question_id=question.id, status=Status.IN_PROGRESS.value, asked_at=self.desk.work.now
            )


def second_factor_name(person: Person) -> str:
    """Return the person's name at the second factor: the part of the directory's e-mail address before the @.

    Without an address, the chat user name; never the display name, which people choose themselves.
    """
    return person.email.partition("@")[0] if person.email else person.username
