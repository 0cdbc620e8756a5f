"""One step of a conversation in the making: the state so far and the decisions so far. Lives within `advance` only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from common.ids import derived_id
from services.dispatcher.business_hours import BusinessHours
from services.dispatcher.conversation_state import Conversation, Question
from services.dispatcher.decisions import Decision, Refresh, Retell, Tell
from services.dispatcher.policies import Policies, Policy


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for the person of the conversation."""

    policies: Policies
    hours: BusinessHours
    second_factor: bool
    """Whether there is one at all (`SECURITYBOT_AUTH` is not `none`)."""


class Turn:
    """What the rules of the conversation work on."""

    def __init__(self, talk: Conversation, rules: Rules, now: datetime) -> None:
        self.talk = talk
        self.rules = rules
        self.now = now
        self.decisions: list[Decision] = []

    def decide(self, decision: Decision) -> None:
        """Add a decision."""
        self.decisions.append(decision)

    def set(self, **changes: object) -> None:
        """Change the conversation."""
        self.talk = self.talk.model_copy(update=changes)

    def set_question(self, question: Question, **changes: object) -> Question:
        """Change the open question and return it."""
        changed = question.model_copy(update=changes)
        self.set(question=changed)
        return changed

    def next_message(self) -> tuple[str, int]:
        """Return id and place of the next chat message to the person."""
        sequence = self.talk.sequence + 1
        self.set(sequence=sequence)
        return derived_id("chat", self.talk.person_id, str(sequence)), sequence

    def tell(self, text: str, **values: str) -> None:
        """Send a text."""
        message_id, sequence = self.next_message()
        self.decide(Tell(message_id, sequence, text, values))

    def retell(self, message_id: str, text: str) -> None:
        """Let an earlier message show another text, without buttons."""
        self.decide(Retell(message_id, self.next_message()[1], text))

    def refresh(self, question: Question, result: str | None) -> None:
        """Let the question's card show where it stands."""
        self.decide(Refresh(question, self.next_message()[1], result))

    def policy(self, question: Question) -> Policy:
        """Return the policy that holds for the question."""
        return self.rules.policies.of(question.first.title, question.severity)
