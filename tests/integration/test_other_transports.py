"""Kombu's other transports, seen with the one that needs no server of its own: a SQL database."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.bus import open_bus
from common.bus.embedded import KombuBus
from common.bus.port import Publication
from common.errors import BusUnavailable, ConfigurationError
from common.topology import ALERTS, INGEST_QUEUE, TOPOLOGY
from tests.contract.bus_places import take_all


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.MovedIn20Warning")
def test_a_message_goes_through_a_transport_that_has_to_be_polled(tmp_path: Path) -> None:
    bus = open_bus(f"sqla+sqlite:///{tmp_path / 'bus.db'}")
    bus.declare(TOPOLOGY)
    consumer = bus.consume([INGEST_QUEUE.name], 10)

    refused = bus.publish([Publication(ALERTS, "alert.x", b"\xff", "id", headers={"version": 1})])

    (delivery,) = take_all(consumer, 1)
    consumer.ack([delivery])
    assert refused == frozenset()
    assert (delivery.body, delivery.message_id, dict(delivery.headers)) == (b"\xff", "id", {"version": 1})
    assert bus.durable
    assert bus.connected()
    bus.close()


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.MovedIn20Warning")
def test_what_a_consumer_did_not_acknowledge_is_there_for_the_next(tmp_path: Path) -> None:
    bus = open_bus(f"sqla+sqlite:///{tmp_path / 'bus.db'}")
    bus.declare(TOPOLOGY)
    bus.publish([Publication(ALERTS, "alert.x", b"1", "id")])
    first = bus.consume([INGEST_QUEUE.name], 10)
    take_all(first, 1)

    first.close()

    assert take_all(bus.consume([INGEST_QUEUE.name], 10), 1)[0].body == b"1"
    bus.close()


def test_a_broker_that_is_away_is_told_and_consumers_wait(tmp_path: Path) -> None:
    bus = open_bus(f"sqla+sqlite:///{tmp_path / 'no' / 'such' / 'folder' / 'bus.db'}")
    consumer = bus.consume([INGEST_QUEUE.name], 10)

    with pytest.raises(BusUnavailable):
        bus.declare(TOPOLOGY)
    with pytest.raises(BusUnavailable):
        bus.publish([Publication(ALERTS, "alert.x", b"", "id")])

    assert consumer.take(10, 0.05) == []
    assert not bus.connected()
    bus.close()


def test_a_transport_that_there_is_not_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(ConfigurationError, match="'pigeon'"):
        KombuBus("pigeon://")
