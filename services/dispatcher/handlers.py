"""One short function for each message that the dispatcher takes."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from common import codec, metrics
from common.alerts import accepted_id
from common.bus.port import Delivery
from common.messages import (
    AlertAccepted,
    AllowPushes,
    AuthenticationSettled,
    AuthenticationStarted,
    ChatMessageDelivered,
    ChatMessageUndeliverable,
    Envelope,
    Message,
    PersonLookedUp,
    ReplyReceived,
)
from common.topology import DISPATCHER_QUEUE
from common.unit_of_work import UnitOfWork
from common.worker import Received
from services.dispatcher.chat_commands import parse
from services.dispatcher.configuration import Configuration
from services.dispatcher.conversation import ACTIONS, unseen
from services.dispatcher.conversation_events import (
    Clicked,
    MessageDelivered,
    MessageUndeliverable,
    ProofBegun,
    ProofSettled,
    PushesAllowed,
    Typed,
)
from services.dispatcher.desk import Desk
from services.dispatcher.secretary import Secretary
from services.dispatcher.verdicts import alert_of


class DispatcherHandler:
    """Loads what the batch needs, lets each message happen, saves."""

    name = "dispatcher"
    queue = DISPATCHER_QUEUE.name

    def __init__(self, config: Configuration) -> None:
        self._config = config

    def decode(self, delivery: Delivery) -> Envelope[Message]:
        """Return the message in its envelope."""
        return codec.decode(delivery)

    def handle(self, work: UnitOfWork, batch: Sequence[Received[Envelope[Message]]]) -> None:
        """Do the batch in order; one person's messages come in theirs."""
        desk = Desk(work)
        secretary = Secretary(desk, self._config)
        messages = [received.message for received in batch]
        self._load(desk, [envelope.message for envelope in messages])
        for envelope in _not_handled(desk, messages):
            with structlog.contextvars.bound_contextvars(message_id=envelope.id, alert=envelope.correlation_id):
                self._happen(secretary, envelope)
        desk.save()

    def _load(self, desk: Desk, messages: Sequence[Message]) -> None:
        handles: set[str] = set()
        people: set[str] = set()
        owners = [message.alert.owner for message in messages if isinstance(message, AlertAccepted)]
        for owner in owners:
            handles.update(self._config.owners.candidates(owner))
        for message in messages:
            person_id = concerned(message)
            if person_id is not None:
                people.add(person_id)
        desk.load_people(handles | people)
        for owner in owners:
            match = desk.directory.first_of(owner, self._config.owners.candidates(owner))
            if match is not None:
                people.add(match.person.chat_id)
        desk.load_conversations(people)

    def _happen(self, secretary: Secretary, envelope: Envelope[Message]) -> None:
        match message := envelope.message:
            case AlertAccepted(alert=alert):
                secretary.accept(alert)
            case PersonLookedUp():
                self._looked_up(secretary, message, envelope.correlation_id)
            case ReplyReceived():
                self._replied(secretary, message)
            case ChatMessageDelivered(recipient=recipient) if recipient.kind == "person":
                secretary.tell_of(recipient.id, MessageDelivered(message.target, message.delivered_at))
            case ChatMessageUndeliverable():
                self._undeliverable(secretary, message)
            case AuthenticationStarted():
                begun = ProofBegun(message.request_id, message.code, message.approve_in_chat)
                secretary.tell_of(message.person_id, begun)
            case AuthenticationSettled():
                self._settled(secretary, message)
            case AllowPushes():
                secretary.desk.work.note("pushes_allowed", person=message.person_id, actor=message.analyst)
                secretary.tell_of(message.person_id, PushesAllowed())
            case _:
                pass  # a report that reached its channel

    def _looked_up(self, secretary: Secretary, message: PersonLookedUp, about: str | None) -> None:
        """Ask whoever was found; the next candidate is looked up, or nobody is left."""
        desk, owners = secretary.desk, self._config.owners
        for row in desk.without_person(about):
            candidates = owners.candidates(row.owner)
            if message.handle not in candidates:
                continue
            desk.load_people([*candidates, *([message.person_id] if message.person_id else [])])
            match = desk.directory.first_of(row.owner, candidates)
            later = candidates[candidates.index(message.handle) + 1 :]
            if match is not None:
                secretary.route(alert_of(row), match)
            elif message.error is not None:
                secretary.not_said(row, message.error)
            elif later:
                secretary.look_up(row.hash, later[0])
            else:
                secretary.unknown(row)

    def _replied(self, secretary: Secretary, reply: ReplyReceived) -> None:
        known = reply.action in ACTIONS or reply.action is None
        metrics.REPLIES.labels((reply.action or "typed") if known else "unknown").inc()
        if reply.action is None:
            desk = secretary.desk
            under, place = desk.shown_as(reply.person_id, reply.thread) if reply.thread else (None, None)
            command = parse(reply.text, self._config.commands)
            talk = desk.conversation(reply.person_id)
            shown = desk.delivered_at([one.message_id for one in (talk.question, talk.proof) if one is not None])
            missed = unseen(talk, shown, reply.received_at, desk.work.now)
            secretary.tell_of(reply.person_id, Typed(command, reply.received_at, under, place, missed))
        else:
            secretary.tell_of(reply.person_id, Clicked(reply.action, reply.subject, reply.text))

    def _undeliverable(self, secretary: Secretary, message: ChatMessageUndeliverable) -> None:
        recipient = message.recipient
        secretary.desk.work.note("undeliverable", person=recipient.id, target=message.target, reason=message.reason)
        if recipient.kind == "person":
            secretary.tell_of(recipient.id, MessageUndeliverable(message.target, message.reason))

    def _settled(self, secretary: Secretary, message: AuthenticationSettled) -> None:
        question = secretary.desk.conversation(message.person_id).question
        about = question.first.hash if question else None
        secretary.desk.work.note(
            "push_settled", alert=about, person=message.person_id,
            request=message.request_id, result=message.result.value, detail=message.detail,
        )  # fmt: skip
        settled = ProofSettled(message.request_id, message.result, message.detail, message.settled_at)
        secretary.tell_of(message.person_id, settled)


def _not_handled(desk: Desk, messages: Sequence[Envelope[Message]]) -> Sequence[Envelope[Message]]:
    """Leave out alerts that an analyst has sent again from the quarantine, but that were announced again before.

    Only those come under another id than the alert's own, which spares the others the query.
    """
    retried = [
        e.message.alert.hash
        for e in messages
        if isinstance(e.message, AlertAccepted) and e.id != accepted_id(e.message.alert.hash)
    ]
    if not retried:
        return messages
    done = desk.handled(retried)
    return [e for e in messages if not (isinstance(e.message, AlertAccepted) and e.message.alert.hash in done)]


def concerned(message: Message) -> str | None:
    """Return the chat id of the person whose conversation the message moves on."""
    match message:
        case ReplyReceived() | AuthenticationStarted() | AuthenticationSettled() | AllowPushes():
            return message.person_id
        case ChatMessageDelivered(recipient=recipient) | ChatMessageUndeliverable(recipient=recipient):
            return recipient.id if recipient.kind == "person" else None
        case _:
            return None
