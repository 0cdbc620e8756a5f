"""What ingest does with a batch: load what is known, admit, store, hand over `AlertAccepted`."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date

from sqlalchemy import Connection, bindparam, select, update

from common import metrics
from common.alert_form import read_alert
from common.alerts import Alert, Status, accepted_id
from common.bus.port import Delivery
from common.clock import Clock
from common.logs import get_logger
from common.messages import AlertAccepted
from common.quarantine import quarantine
from common.records.tables import AlertRow
from common.topology import INGEST_QUEUE
from common.unit_of_work import UnitOfWork
from common.worker import Received
from services.ingest.admission import Accept, Known, Occurrence, Refuse, admit

log = get_logger(__name__)

_KNOWN = select(AlertRow.hash, AlertRow.owner, AlertRow.title).where(
    AlertRow.hash.in_(bindparam("hashes", expanding=True))
)


class IntakeHandler:
    """Takes what detection tools publish: at most two reads, and one write a batch, however many alerts are in it."""

    name = "ingest"
    queue = INGEST_QUEUE.name

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def decode(self, delivery: Delivery) -> Alert:
        """Return the alert in its normal form."""
        return read_alert(
            delivery.body,
            routing_key=delivery.routing_key,
            message_id=delivery.message_id,
            received_at=self._clock.now(),
        )

    def handle(self, work: UnitOfWork, batch: Sequence[Received[Alert]]) -> None:
        """Store new alerts and hand them over, count the repeated ones, quarantine the refused ones."""
        alone = len(batch) == 1  # in a batch, some alert or other is often there already
        known = {} if work.hopeful and alone else load_known(work.connection, {one.message.hash for one in batch})
        new: dict[str, Alert] = {}
        repeated: Counter[str] = Counter()
        refused = 0
        for received in batch:
            alert = received.message
            match admit(alert, known.get(alert.hash)):
                case Accept():
                    known[alert.hash] = Known(alert.owner, alert.title)
                    new[alert.hash] = alert
                case Occurrence():
                    repeated[alert.hash] += 1
                case Refuse(reason):
                    refused += 1
                    quarantine(work, received.delivery, reason, self.name)
        for alert in new.values():
            _store(work, alert, occurrences=1 + repeated[alert.hash])
        _count(work, {digest: times for digest, times in repeated.items() if digest not in new})
        for digest, times in repeated.items():
            work.note("occurrence", alert=digest, times=times)
        work.after_commit(lambda: _tell(len(new), repeated.total(), refused))


def intake_key(delivery: Delivery, today: date) -> str:
    """Return what recognises a redelivery. Publishers use an id twice, by mistake or on purpose: the content counts.

    Without an id and an event time, the same content is the same alert for a day (UTC): on another it is a new one,
    which must not be taken for a redelivery of the first.
    """
    content = f"{delivery.message_id or today}\0{delivery.routing_key}\0".encode() + delivery.body
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def load_known(connection: Connection, hashes: Collection[str]) -> dict[str, Known]:
    """Return what the record has under `hashes`."""
    rows = connection.execute(_KNOWN, {"hashes": sorted(hashes)})
    return {row.hash: Known(row.owner, row.title) for row in rows}


def _store(work: UnitOfWork, alert: Alert, occurrences: int) -> None:
    work.insert(
        AlertRow,
        hash=alert.hash,
        owner=alert.owner,
        title=alert.title,
        description=alert.description,
        reason=alert.reason,
        url=alert.url,
        severity=alert.severity.value,
        source=alert.source,
        context=alert.context,
        event_time=alert.event_time,
        received_at=alert.received_at,
        last_seen_at=alert.received_at,
        occurrences=occurrences,
        status=Status.OPEN.value,
    )
    work.note("received", alert=alert.hash, source=alert.source)
    work.emit(AlertAccepted(alert=alert), about=alert.hash, message_id=accepted_id(alert.hash))


def _count(work: UnitOfWork, repeated: Mapping[str, int]) -> None:
    """One statement for each number of repeats, nearly always one in all: drivers send `executemany` row by row."""
    by_times: defaultdict[int, list[str]] = defaultdict(list)
    for digest, times in sorted(repeated.items()):
        by_times[times].append(digest)
    for times, hashes in by_times.items():
        work.connection.execute(
            update(AlertRow)
            .where(AlertRow.hash.in_(hashes))
            .values(occurrences=AlertRow.occurrences + times, last_seen_at=work.now)
        )


def _tell(new: int, repeated: int, refused: int) -> None:
    for kind, number in (("new", new), ("occurrence", repeated), ("refused", refused)):
        metrics.ACCEPTED.labels(kind).inc(number)
    log.info("alerts_taken", new=new, repeated=repeated, refused=refused)
