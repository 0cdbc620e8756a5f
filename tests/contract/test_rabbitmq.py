"""What only RabbitMQ has: it dies and comes back, blocks, refuses, encrypts and dead-letters."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pika
import pytest
import trustme

from common.bus.port import Publication
from common.bus.rabbitmq import RabbitBus
from common.errors import BusUnavailable, ConfigurationError
from common.topology import DEAD, DELIVERY_LIMIT, INGEST_QUEUE, TOPOLOGY, Queue, Topology
from services.ingest.dead_letters import before_death
from tests.amqp import deep, teach_pika_raw_values, timestamp
from tests.conftest import running
from tests.contract.bus_places import Place, admin, bodies, new_place, take_all, take_until
from tests.servers import RabbitServer, free_port
from tests.waiting import eventually


@pytest.fixture
def place() -> Place:
    return new_place()


@pytest.fixture
def bus(rabbit: RabbitServer, place: Place) -> Iterator[RabbitBus]:
    bus = RabbitBus(rabbit.url)
    bus.declare(place.topology)
    yield bus
    bus.close()


def test_publisher_and_consumer_come_back_after_the_broker_was_killed(
    rabbit: RabbitServer, bus: RabbitBus, place: Place
) -> None:
    consumer = bus.consume([place.queue], 10)
    bus.publish(place.publications(3))
    before = take_all(consumer, 3)

    rabbit.kill()

    eventually(lambda: not bus.connected())
    with pytest.raises(BusUnavailable):
        bus.publish([place.publication(9)], 0.5)
    rabbit.start()
    consumer.ack(before)
    again = take_all(consumer, 3, 30)
    assert bodies(again) == [0, 1, 2]
    assert all(delivery.redelivered for delivery in again)
    eventually(bus.connected)
    assert bus.publish([place.publication(3)]) == frozenset()
    consumer.ack(again)
    assert bodies(take_all(consumer, 1)) == [3]


def test_short_strings_that_are_no_utf_8_arrive_as_text(rabbit: RabbitServer, bus: RabbitBus, place: Place) -> None:
    raw: Any = b"caf\xe9"
    connection = pika.BlockingConnection(pika.URLParameters(rabbit.url))
    properties = pika.BasicProperties(message_id=raw, type=raw, correlation_id=raw, headers={raw: 1}, content_type=raw)
    connection.channel().basic_publish("", place.queue, b"0", properties)
    connection.close()
    (delivery,) = take_all(bus.consume([place.queue], 10), 1)
    text = "caf\\xe9"
    assert (delivery.message_id, delivery.type, delivery.correlation_id, delivery.content_type) == (text,) * 4
    assert delivery.headers == {text: 1}


@pytest.mark.parametrize("queue", [INGEST_QUEUE.name, DEAD])
def test_headers_that_pika_cannot_read_hold_up_nothing_behind_them(
    amqp_url: str, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach_pika_raw_values(monkeypatch)
    bus = RabbitBus(amqp_url)
    bus.declare(TOPOLOGY)
    with admin(amqp_url) as channel:
        for number, bad in enumerate((timestamp(2**63), deep(10_000), deep(10_000, "array"))):
            properties = pika.BasicProperties(message_id=f"bad {number}", headers={"bad": bad})
            channel.basic_publish("", queue, b"bad", properties)
        channel.basic_publish("", queue, b"good", pika.BasicProperties(headers={"owner": "U1"}))
    consumer = bus.consume([queue], 10)

    taken = take_all(consumer, 4)

    consumer.ack(taken)
    assert [one.message_id for one in taken] == ["bad 0", "bad 1", "bad 2", None]
    assert taken[0].headers == taken[2].headers == {"undecodable": True}
    assert taken[3].headers == {"owner": "U1"}
    assert not any(one.redelivered for one in taken), "the connection was never lost"
    consumer.close()
    eventually(lambda: bus.depths([queue]) == {queue: 0})
    bus.close()


def test_an_empty_id_is_none(rabbit: RabbitServer, bus: RabbitBus, place: Place) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(rabbit.url))
    connection.channel().basic_publish("", place.queue, b"0", pika.BasicProperties(message_id=""))
    connection.close()
    (delivery,) = take_all(bus.consume([place.queue], 10), 1)
    assert delivery.message_id is None


def test_a_batch_in_flight_fails_at_once_when_the_connection_is_lost(
    rabbit: RabbitServer, bus: RabbitBus, place: Place
) -> None:
    failed = threading.Event()

    def publish_until_it_fails() -> None:
        try:
            while True:
                bus.publish(place.publications(200), 60)
        except BusUnavailable:
            failed.set()

    thread = threading.Thread(target=publish_until_it_fails)
    thread.start()
    eventually(lambda: bus.depths([place.queue])[place.queue] > 200)

    rabbit.kill()

    assert failed.wait(10)
    thread.join()
    rabbit.start()


def test_a_queue_deleted_under_its_consumer_is_made_again(rabbit: RabbitServer, bus: RabbitBus, place: Place) -> None:
    consumer = bus.consume([place.queue], 10)
    bus.publish(place.publications(1))
    consumer.ack(take_all(consumer, 1))

    with admin(rabbit.url) as channel:
        channel.queue_delete(place.queue)

    eventually(lambda: not bus.publish([place.publication(1)]))
    assert bodies(take_all(consumer, 1)) == [1]


def test_deliveries_that_were_not_taken_yet_are_forgotten_with_their_channel(
    rabbit: RabbitServer, bus: RabbitBus, place: Place
) -> None:
    consumer = bus.consume([place.queue], 10)
    bus.publish(place.publications(5))
    first = take_all(consumer, 1)
    rabbit.ctl("close_all_connections", "test")
    eventually(lambda: consumer._generation > 0)

    again = take_all(consumer, 5)
    consumer.ack(first)
    consumer.ack(again)

    assert bodies(again) == [0, 1, 2, 3, 4]
    assert consumer.take(10, 0.2) == []
    consumer.close()
    assert bus.depths([place.queue]) == {place.queue: 0}


def blocked(bus: RabbitBus, publication: Publication) -> bool:
    """Publish, and tell whether the broker has had enough of it: it looks at its memory every few seconds."""
    try:
        bus.publish([publication], 0.5)
    except BusUnavailable:
        return not bus.connected()
    return False


def test_a_blocked_publisher_waits_and_consumers_go_on(rabbit: RabbitServer, bus: RabbitBus, place: Place) -> None:
    consumer = bus.consume([place.queue], 10)
    bus.publish(place.publications(2))
    taken = take_all(consumer, 2)
    rabbit.ctl("set_vm_memory_high_watermark", "0.0001")
    try:
        eventually(lambda: blocked(bus, place.publication(2)))
        with pytest.raises(BusUnavailable, match="blocks"):
            bus.publish([place.publication(3)], 0.2)
        with pytest.raises(BusUnavailable, match="blocks"):
            bus.depths([place.queue])
        consumer.ack(taken)
        eventually(lambda: f"{place.queue}\t0" in rabbit.ctl("list_queues", "name", "messages_unacknowledged"))
    finally:
        rabbit.ctl("set_vm_memory_high_watermark", "0.4")

    eventually(bus.connected)
    assert bus.publish([place.publication(4)]) == frozenset()
    arrived = set(bodies(take_until(consumer, b"4")))
    assert arrived == {2, 4}, "3 was given up while blocked: its caller publishes it again"


def test_a_declaration_that_the_broker_refuses_names_the_queue(
    rabbit: RabbitServer, bus: RabbitBus, place: Place
) -> None:
    class Other(Queue):
        @property
        def arguments(self) -> dict[str, str | int]:
            return {"x-queue-type": "classic"}

    wrong = Topology(place.topology.exchanges, (Other(place.queue, ()),))

    with pytest.raises(BusUnavailable, match=rf"{place.queue}.*PRECONDITION_FAILED.*inequivalent arg"):
        bus.declare(wrong)
    assert bus.publish([place.publication()]) == frozenset(), "the publishing channel is not harmed"


def test_an_exchange_that_is_not_there_fails_the_batch_and_nothing_else(bus: RabbitBus, place: Place) -> None:
    with pytest.raises(BusUnavailable, match="no exchange"):
        bus.publish([Publication("no.such.exchange", "x", b"", "id")])

    assert eventually(bus.connected)
    assert bus.publish([place.publication()]) == frozenset()


def test_a_publication_that_amqp_cannot_carry_is_refused_alone(bus: RabbitBus, place: Place) -> None:
    batch = [place.publication(0), place.publication(1, "one." + "x" * 300), place.publication(2)]

    assert bus.publish(batch) == frozenset({1})

    assert bodies(take_all(bus.consume([place.queue], 10), 2)) == [0, 2]


def test_a_float_in_the_headers_arrives_as_text(bus: RabbitBus, place: Place) -> None:
    bus.publish([place.publication(headers={"score": 0.5})])

    assert take_all(bus.consume([place.queue], 10), 1)[0].headers == {"score": "0.5"}


def test_a_full_queue_refuses(rabbit: RabbitServer, bus: RabbitBus, place: Place) -> None:
    rabbit.ctl("set_policy", "full", f"^{place.queue}$", '{"max-length": 3}', "--apply-to", "queues")

    refused = eventually(lambda: bus.publish(place.publications(10)))

    assert 0 < len(refused) <= 10
    rabbit.ctl("clear_policy", "full")


def test_a_message_that_kills_its_consumer_every_time_ends_in_the_dead_letter_queue(amqp_url: str) -> None:
    bus = RabbitBus(amqp_url)
    bus.declare(TOPOLOGY)
    forged: Any = {"x-death": [{"queue": "forged", "reason": "rejected", "exchange": "forged", "routing-keys": ["f"]}]}
    bus.publish([Publication("securitybot.alerts", "alert.x", b"poison", "id", headers=forged)])

    for _ in range(DELIVERY_LIMIT + 1):
        consumer = bus.consume([INGEST_QUEUE.name], 1)
        (delivery,) = take_all(consumer, 1)
        assert delivery.body == b"poison"
        consumer.close()

    (dead,) = take_all(bus.consume([DEAD], 1), 1)
    bus.close()
    assert (dead.body, dead.message_id) == (b"poison", "id")
    before = before_death(dead)
    assert (before.queue, before.exchange, before.routing_key) == (INGEST_QUEUE.name, "securitybot.alerts", "alert.x")


def test_nobody_there_is_an_error_that_says_so() -> None:
    bus = RabbitBus(f"amqp://guest:guest@127.0.0.1:{free_port()}")

    with pytest.raises(BusUnavailable, match="refused"):
        bus.declare(TOPOLOGY)
    with pytest.raises(BusUnavailable, match="refused"):
        bus.depths(["x"])
    assert not bus.connected()
    bus.close()


def test_a_wrong_password_is_an_error_that_says_so_without_the_password(rabbit: RabbitServer) -> None:
    bus = RabbitBus(f"amqp://guest:wr0ng@127.0.0.1:{rabbit.port}")

    with pytest.raises(BusUnavailable, match="ACCESS_REFUSED") as caught:
        bus.declare(TOPOLOGY)
    bus.close()
    assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize("url", ["amqp://host:port/", "amqp://host/?no_such_option=1", "amqps://h/?cafile=/no/file"])
def test_a_url_that_cannot_be_used_is_told_before_anything_is_connected(url: str) -> None:
    with pytest.raises(ConfigurationError, match="SECURITYBOT_AMQP_URL"):
        RabbitBus(url.replace("//", "//user:s3cret@"))


def test_each_connection_has_its_name_at_the_broker(rabbit: RabbitServer, place: Place, bus: RabbitBus) -> None:
    bus.consume([place.queue], 1)

    def names() -> bool:
        listed = rabbit.ctl("list_connections", "client_properties", "--silent")
        return "securitybot: publisher" in listed and f"securitybot: consumer of {place.queue}" in listed

    eventually(names, every=0.5)


# --- TLS: a second broker, with a certificate of an authority made for it ------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RabbitServer]:
    files = (folder / "both.pem", folder / "both.pem", folder / "ca.pem")
    yield from running(lambda: RabbitServer(tls=files))


@pytest.mark.parametrize("option", ["cafile", "cacertfile"])
def test_messages_go_encrypted_with_the_authority_that_the_url_names(
    server: RabbitServer, folder: Path, option: str
) -> None:
    place = new_place()
    bus = RabbitBus(f"amqps://guest:guest@localhost:{server.tls_port}/%2F?{option}={folder / 'ca.pem'}")
    bus.declare(place.topology)

    assert bus.publish(place.publications(2)) == frozenset()

    assert bodies(take_all(bus.consume([place.queue], 10), 2)) == [0, 1]
    bus.close()


def test_a_certificate_of_an_unknown_authority_is_refused(server: RabbitServer) -> None:
    bus = RabbitBus(f"amqps://guest:guest@localhost:{server.tls_port}/%2F")

    with pytest.raises(BusUnavailable, match=r"certificate is refused.*`cafile` in SECURITYBOT_AMQP_URL"):
        bus.declare(TOPOLOGY)
    bus.close()


def test_a_certificate_of_another_host_is_refused(server: RabbitServer, folder: Path) -> None:
    bus = RabbitBus(f"amqps://guest:guest@127.0.0.1:{server.tls_port}/%2F?cafile={folder / 'ca.pem'}")

    with pytest.raises(BusUnavailable, match=r"[Cc]ertificate|IP address"):
        bus.declare(TOPOLOGY)
    bus.close()
