"""What every bus promises; the same tests against both adapters."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from common.bus import open_bus
from common.bus.embedded import KombuBus
from common.bus.port import Bus
from common.errors import BusUnavailable
from tests.contract.bus_places import Place, bodies, delete, new_place, take_all
from tests.waiting import eventually


@pytest.fixture
def place() -> Place:
    return new_place()


@pytest.fixture(params=["memory", "rabbitmq"])
def bus(request: pytest.FixtureRequest, place: Place) -> Iterator[Bus]:
    url = "memory://" if request.param == "memory" else request.getfixturevalue("amqp_url")
    bus = open_bus(url)
    bus.declare(place.topology)
    yield bus
    bus.close()
    if request.param == "rabbitmq":
        delete(url, place)


def test_a_message_arrives_as_it_was_published(bus: Bus, place: Place) -> None:
    consumer = bus.consume([place.queue], 10)
    body = b'\x00\xff{"not": "utf-8"}'
    sent = place.publication(
        routing_key="one.two.three", body=body, message_id="id", type="T", correlation_id="c",
        headers={"owner": "U1", "version": 2, "yes": True, "nothing": None},
    )  # fmt: skip

    assert bus.publish([sent]) == frozenset()

    (delivery,) = take_all(consumer, 1)
    assert delivery.body == body
    assert (delivery.message_id, delivery.type, delivery.correlation_id) == ("id", "T", "c")
    assert dict(delivery.headers) == {"owner": "U1", "version": 2, "yes": True, "nothing": None}
    assert (delivery.queue, delivery.exchange, delivery.routing_key) == (place.queue, place.exchange, "one.two.three")
    assert delivery.content_type == "application/json"
    assert delivery.redelivered is False


def test_a_message_without_type_correlation_or_headers_has_none(bus: Bus, place: Place) -> None:
    consumer = bus.consume([place.queue], 10)

    bus.publish([place.publication(body=b"")])

    (delivery,) = take_all(consumer, 1)
    assert (delivery.body, delivery.type, delivery.correlation_id, dict(delivery.headers)) == (b"", None, None, {})


def test_what_no_queue_takes_is_refused_and_the_rest_arrives(bus: Bus, place: Place) -> None:
    consumer = bus.consume([place.queue], 10)
    batch = [
        place.publication(0),
        place.publication(1, "nobody"),
        place.publication(2),
        place.publication(3, "nobody", mandatory=False),
        place.publication(1, "nobody.either"),
    ]

    assert bus.publish(batch) == frozenset({1, 4})

    assert bodies(take_all(consumer, 2)) == [0, 2]


def test_publishing_nothing_is_nothing(bus: Bus) -> None:
    assert bus.publish([]) == frozenset()


def test_a_thousand_messages_keep_their_order(bus: Bus, place: Place) -> None:
    consumer = bus.consume([place.queue], 2000)

    assert bus.publish(place.publications(1000)) == frozenset()

    taken = take_all(consumer, 1000)
    consumer.ack(taken)
    assert bodies(taken) == list(range(1000))
    assert [delivery.message_id for delivery in taken[:2]] == ["id-0", "id-1"]


def test_many_threads_publish_at_once_and_each_learns_of_its_own(bus: Bus, place: Place) -> None:
    consumer = bus.consume([place.queue], 1000)

    def publish(thread: int) -> frozenset[int]:
        batch = place.publications(20, start=thread * 100)
        batch[thread] = place.publication(thread * 100 + thread, "nobody")
        return bus.publish(batch)

    with ThreadPoolExecutor(8) as threads:
        refused = list(threads.map(publish, range(8)))

    assert refused == [frozenset({thread}) for thread in range(8)]
    taken = bodies(take_all(consumer, 8 * 19))
    for thread in range(8):
        own = [number for number in taken if number // 100 == thread]
        assert own == [thread * 100 + index for index in range(20) if index != thread]


def test_take_returns_what_is_there_without_waiting_for_a_full_batch(bus: Bus, place: Place) -> None:
    consumer = bus.consume([place.queue], 100)
    bus.publish(place.publications(3))
    began = time.monotonic()

    take_all(consumer, 3)

    assert time.monotonic() - began < 5
    assert consumer.take(100, 0.01) == []


def test_take_gives_no_more_than_asked_for(bus: Bus, place: Place) -> None:
    consumer = bus.consume([place.queue], 100)
    bus.publish(place.publications(5))
    eventually(lambda: bus.depths([place.queue])[place.queue] in (0, 5))

    first = take_all(consumer, 1)
    sizes = [len(consumer.take(2, 1)) for _ in range(2)]

    assert bodies(first) == [0]
    assert max(sizes) <= 2


def test_a_waiting_take_sees_a_message_at_once(bus: Bus, place: Place) -> None:
    consumer = bus.consume([place.queue], 10)
    bus.publish([place.publication()])
    consumer.ack(take_all(consumer, 1))
    arrived: list[float] = []

    def wait() -> None:
        consumer.take(10, 30)
        arrived.append(time.perf_counter())

    waiter = threading.Thread(target=wait)
    waiter.start()
    bus.publish([place.publication(1)])
    published = time.perf_counter()
    waiter.join(10)

    assert arrived[0] - published < 5


def test_wake_ends_a_waiting_take(bus: Bus, place: Place) -> None:
    consumer = bus.consume([place.queue], 10)
    waiter = threading.Thread(target=lambda: consumer.take(10, 60))
    waiter.start()

    consumer.wake()
    waiter.join(10)

    assert not waiter.is_alive()


def test_a_wake_before_take_is_not_lost(bus: Bus, place: Place) -> None:
    consumer = bus.consume([place.queue], 10)
    consumer.wake()
    began = time.monotonic()

    assert consumer.take(10, 60) == []

    assert time.monotonic() - began < 10


def test_what_was_not_acknowledged_comes_again_in_order_marked_redelivered(bus: Bus, place: Place) -> None:
    consumer = bus.consume([place.queue], 10)
    bus.publish(place.publications(4))
    first = take_all(consumer, 4)
    consumer.ack(first[:1])
    consumer.close()

    second = take_all(bus.consume([place.queue], 10), 3)

    assert bodies(second) == [1, 2, 3]
    assert all(delivery.redelivered for delivery in second)


@pytest.mark.parametrize("kept", [[0], [2], [4], [1, 3], [0, 4], [0, 1, 3], []])
def test_any_subset_may_be_acknowledged(bus: Bus, place: Place, kept: list[int]) -> None:
    consumer = bus.consume([place.queue], 10)
    bus.publish(place.publications(5))
    taken = take_all(consumer, 5)

    consumer.ack([delivery for delivery in reversed(taken) if int(delivery.body) not in kept])
    consumer.close()

    again = bus.consume([place.queue], 10)
    assert bodies(take_all(again, len(kept))) == kept
    assert again.take(10, 0.05) == []


def test_acknowledging_twice_or_after_close_does_nothing(bus: Bus, place: Place) -> None:
    consumer = bus.consume([place.queue], 10)
    bus.publish(place.publications(2))
    taken = take_all(consumer, 2)
    consumer.ack(taken[:1])
    consumer.ack(taken[:1])
    consumer.ack([])
    consumer.close()
    consumer.ack(taken)
    consumer.close()

    assert bodies(take_all(bus.consume([place.queue], 10), 1)) == [1]


def test_no_more_than_prefetch_are_out_at_a_time(bus: Bus, place: Place) -> None:
    consumer = bus.consume([place.queue], 3)
    bus.publish(place.publications(7))
    first = take_all(consumer, 3)

    assert consumer.take(10, 0.1) == []

    consumer.ack(first)
    assert bodies(take_all(consumer, 3)) == [3, 4, 5]


def test_a_closed_consumer_takes_nothing(bus: Bus, place: Place) -> None:
    consumer = bus.consume([place.queue], 3)
    consumer.close()
    bus.publish(place.publications(1))

    assert consumer.take(10, 5) == []
    assert bodies(take_all(bus.consume([place.queue], 3), 1)) == [0]


def test_each_queue_gets_its_own_copy(bus: Bus, place: Place) -> None:
    bus.publish([place.publication(7, "both")])
    one = bus.consume([place.queue], 10)
    taken = take_all(one, 1)
    one.close()

    other = take_all(bus.consume([place.other], 10), 1)

    assert bodies(taken) == bodies(other) == [7]
    assert other[0].redelivered is False
    assert take_all(bus.consume([place.queue], 10), 1)[0].redelivered is True


def test_one_consumer_takes_from_several_queues(bus: Bus, place: Place) -> None:
    consumer = bus.consume([place.queue, place.other], 10)
    bus.publish([place.publication(7, "both")])

    taken = take_all(consumer, 2)
    consumer.ack(taken)
    consumer.close()

    assert sorted(delivery.queue for delivery in taken) == sorted([place.queue, place.other])
    assert bus.depths([place.queue, place.other]) == {place.queue: 0, place.other: 0}


def test_depths_count_what_waits(bus: Bus, place: Place) -> None:
    bus.publish([*place.publications(3), place.publication(4, "both")])

    eventually(lambda: bus.depths([place.queue, place.other]) == {place.queue: 4, place.other: 1})


def test_the_depth_of_a_queue_that_is_not_there_is_an_error(bus: Bus, place: Place) -> None:
    with pytest.raises(BusUnavailable, match=r"no\.such\.queue"):
        bus.depths(["no.such.queue"])
    assert bus.depths([place.queue]) == {place.queue: 0}


def test_declaring_again_changes_nothing(bus: Bus, place: Place) -> None:
    bus.publish(place.publications(1))

    bus.declare(place.topology)

    assert bodies(take_all(bus.consume([place.queue], 3), 1)) == [0]


def test_it_is_connected_until_it_is_closed(bus: Bus, place: Place) -> None:
    assert bus.connected()
    consumer = bus.consume([place.queue], 3)

    bus.close()
    bus.close()

    assert not bus.connected()
    assert consumer.take(1, 5) == []
    with pytest.raises(BusUnavailable):
        bus.publish([place.publication()])


def test_two_embedded_buses_share_nothing(place: Place) -> None:
    one, other = KombuBus("memory://"), KombuBus("memory://")
    one.declare(place.topology)

    assert one.publish([place.publication()]) == frozenset()
    assert other.publish([place.publication()]) == frozenset({0})

    other.declare(place.topology)
    assert other.depths([place.queue]) == {place.queue: 0}
    one.close()
    other.close()


def test_only_the_embedded_bus_forgets_with_its_process(bus: Bus) -> None:
    assert bus.durable is not isinstance(bus, KombuBus)
