"""A person, their phone and the security team around the pure conversation: decisions are carried out in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from common.alerts import Resolution, Severity
from common.messages import AuthResult
from common.settings import SHIPPED_CONFIG
from common.texts import Texts
from common.yaml_files import load_yaml
from services.dispatcher.business_hours import BusinessHours
from services.dispatcher.chat_commands import Commands
from services.dispatcher.conversation import advance
from services.dispatcher.conversation_events import AlertsArrived, Event, ProofSettled, TimePassed
from services.dispatcher.conversation_state import AskedAlert, Conversation, Purpose, Question
from services.dispatcher.decisions import (
    Ask,
    BackOff,
    Decision,
    Ignore,
    LookForMore,
    Push,
    Refresh,
    Report,
    Resolve,
    Retell,
    Stop,
    Tell,
)
from services.dispatcher.policies import Policies
from services.dispatcher.turn import Rules
from services.dispatcher.wording import Wording

START = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
"""A Tuesday."""
OFFICE = BusinessHours(ZoneInfo("UTC"), time(10), time(18), frozenset(range(5)), ())


def asked_alert(number: int, title: str = "sudo", severity: Severity = Severity.MEDIUM) -> AskedAlert:
    """Return an alert as the conversation sees it."""
    return AskedAlert(
        hash=f"{number:064x}",
        title=title,
        severity=severity,
        description="somebody did it",
        source="test",
        event_time=START,
    )


WORDING = Wording(
    load_yaml(SHIPPED_CONFIG / "messages.yaml", Texts), load_yaml(SHIPPED_CONFIG / "commands.yaml", Commands)
)


def check_texts(decision: Decision) -> None:
    """Lay out what a decision shows: its text has to be there, and to have all values that it needs."""
    match decision:
        case Tell(text=text, values=values, buttons=buttons, subject=subject):
            WORDING.plain(text, {"name": "Alice"} | dict(values), buttons, subject)
        case Retell(text=text, values=values):
            WORDING.plain(text, values)
        case Report(text=text, values=values):
            WORDING.plain(text, {"person": "Alice (alice)"} | dict(values))
        case Ask(question=question, greeting=greeting):
            WORDING.question(question, "Alice", OFFICE.zone, greeting)
        case Refresh(question=question, result=None):
            WORDING.question(question, "Alice", OFFICE.zone, "first")
        case Refresh(question=question, result=str(result)):
            WORDING.answered(question, OFFICE.zone, result)
        case Resolve(question=question, resolution=resolution, comment=comment):
            WORDING.report(question.first, resolution, "Alice (alice)", comment, count=question.count)
        case Push(proof=proof):
            WORDING.texts.render(f"push_title_{proof.purpose}", title=proof.title)


@dataclass
class World:
    """Carries out what the conversation decides, and checks what must hold at every step."""

    policies: Policies = field(default_factory=Policies)
    second_factor: bool = True
    now: datetime = START
    talk: Conversation = field(default_factory=lambda: Conversation(person_id="U1"))
    alerts: dict[str, AskedAlert] = field(default_factory=dict)
    waiting: dict[str, AskedAlert] = field(default_factory=dict)
    on_card: dict[str, str] = field(default_factory=dict)
    """Alert → question."""
    verdicts: dict[str, Resolution] = field(default_factory=dict)
    open_pushes: dict[str, Push] = field(default_factory=dict)
    asked_for: set[str] = field(default_factory=set)
    approved_at: datetime | None = None
    silenced: list[Decision] = field(default_factory=list)
    log: list[Decision] = field(default_factory=list)
    approving: bool = False
    """Whether the event being handled is an approved push."""

    # --- what happens -------------------------------------------------------------------------------------------

    def alert(self, title: str = "sudo", severity: Severity = Severity.MEDIUM) -> str:
        """Let an alert arrive and return its hash."""
        alert = asked_alert(len(self.alerts) + 1, title, severity)
        self.alerts[alert.hash] = alert
        self.waiting[alert.hash] = alert
        before = self.talk.question
        self.happen(AlertsArrived(alert, 1, severity))
        question = self.talk.question
        if question is not None and question != before:
            self._put_on_card(alert.hash, question)
        return alert.hash

    def settle(
        self, request_id: str, result: AuthResult, detail: str = "", on_its_way: timedelta = timedelta(0)
    ) -> None:
        """Let the second factor give its result, which reaches the dispatcher some time later."""
        push = self.open_pushes.pop(request_id, None)
        if result is AuthResult.APPROVED and push is not None:
            self.approved_at, self.approving = self.now, True
        self.happen(ProofSettled(request_id, result, detail, self.now - on_its_way))
        self.approving = False

    def happen(self, event: Event) -> list[Decision]:
        """Let anything happen; returns what was decided, follow-ups included."""
        begin = len(self.log)
        self.talk, decisions = advance(self.talk, event, Rules(self.policies, OFFICE, self.second_factor), self.now)
        self._check_state()
        for decision in decisions:
            self.log.append(decision)
            self._carry_out(decision)
        return self.log[begin:]

    def pass_time(self, by: timedelta) -> None:
        """Let time pass; what is due happens by itself, in order."""
        until = self.now + by
        while (due := self.talk.due_at()) is not None and due <= until:
            self.now = max(self.now, due)
            self.happen(TimePassed())
        self.now = until

    def told(self) -> list[str]:
        """Return the keys of the texts sent to the person."""
        return [decision.text for decision in self.log if isinstance(decision, Tell)]

    # --- what is decided ------------------------------------------------------------------------------------------

    def _carry_out(self, decision: Decision) -> None:
        check_texts(decision)
        match decision:
            case Ask(question=question):
                assert not set(self.on_card.values()) - self._ended(), "asked while another question was open"
                assert question.id not in self.on_card.values()
            case Resolve():
                self._resolve(decision)
            case Push():
                self._push(decision)
            case BackOff() | Ignore() | Stop():
                self._silence(decision)
            case LookForMore():
                self._look_for_more()
            case _:
                pass

    def _ended(self) -> set[str]:
        return {self.on_card[h] for h in self.verdicts if h in self.on_card}

    def _resolve(self, decision: Resolve) -> None:
        mine = [h for h, question in self.on_card.items() if question == decision.question.id]
        for alert_hash in mine:
            assert alert_hash not in self.verdicts, "two verdicts for one alert"
            self.verdicts[alert_hash] = decision.resolution
        if decision.resolution is Resolution.CONFIRMED:
            assert decision.authenticated is True
            assert self.second_factor
            assert self.approved_at is not None, "confirmed without an approved push"
            worst = max(self.alerts[h].severity.rank for h in mine)
            remembered = self.now - self.approved_at < timedelta(hours=2) and worst <= Severity.MEDIUM.rank
            assert self.approving or remembered, "confirmed on an old push"

    def _push(self, decision: Push) -> None:
        assert not self._really_open(), "two pushes at once"
        assert decision.request_id in self.asked_for, "a push that the person did not ask for"
        self.open_pushes[decision.request_id] = decision

    def _really_open(self) -> list[Push]:
        return [push for push in self.open_pushes.values() if push.expires_at > self.now]

    def _silence(self, decision: BackOff | Ignore | Stop) -> None:
        self.silenced.append(decision)
        if isinstance(decision, BackOff):
            assert list(self.verdicts.values())[-1] is Resolution.CONFIRMED, "silenced without a proved answer"
        elif self.second_factor:
            assert decision.proved
        assert self.approving or not self.second_factor, "silenced without a fresh push"

    def _look_for_more(self) -> None:
        left = sorted(self.waiting.values(), key=lambda a: (-a.severity.rank, a.hash))
        if left and self.talk.question is None:
            self._ask_about(left)

    def _ask_about(self, left: list[AskedAlert]) -> None:
        group = [alert for alert in left if alert.title == left[0].title]
        self.happen(AlertsArrived(group[0], len(group), group[0].severity, follows=True))
        if self.talk.question is not None:
            for alert in group:
                self._put_on_card(alert.hash, self.talk.question)

    def _put_on_card(self, alert_hash: str, question: Question) -> None:
        if alert_hash in self.waiting:
            del self.waiting[alert_hash]
            self.on_card[alert_hash] = question.id

    def _check_state(self) -> None:
        talk = self.talk
        if talk.question is not None or talk.proof is not None:
            assert talk.due_at() is not None, "waits without a deadline"
        if talk.question is not None and talk.question.answered_at is not None:
            assert talk.proof is not None, "answered, and nothing is under way"
        if talk.proof is not None and talk.proof.purpose is Purpose.ANSWER:
            assert talk.question is not None, "a proof for no answer"
