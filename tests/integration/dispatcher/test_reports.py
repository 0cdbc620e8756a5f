"""Reports of a storm: every one is told, once, in as many messages as a channel takes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert, update

from common import codec
from common.alerts import Severity
from common.bus.embedded import KombuBus
from common.messages import ChatContent, Part, SendChatMessage
from common.records.tables import ChatDeliveryRow, ReportRow
from common.settings import SHIPPED_CONFIG
from common.topology import CHAT_GATEWAY_QUEUE
from common.transactions import Transactions
from services.dispatcher.configuration import load_configuration
from services.dispatcher.reports import AHEAD, Reporting, Reports
from services.dispatcher.wording import MOST_TOGETHER
from tests.fakes.clock import FakeClock

CHANNEL, OTHER = "C1", "C2"
LOW, CRITICAL = Severity.LOW.rank, Severity.CRITICAL.rank


class Newsroom:
    """The dispatcher's reports, and a gateway that posts when it is told to."""

    def __init__(self, engine: Engine, bus: KombuBus) -> None:
        self.engine, self.bus, self.clock = engine, bus, FakeClock()
        self.transactions = Transactions(engine, bus, self.clock, "dispatcher")
        config = load_configuration(SHIPPED_CONFIG, second_factor=True, reporting_channel=CHANNEL)
        self.reporting = Reporting(config.wording)

    def tell(self, numbers: Sequence[int], urgency: int = LOW, channel: str = CHANNEL) -> None:
        """Report in one transaction."""

        def report(work: Any) -> None:
            reports = Reports(work)
            for number in numbers:
                parts = (Part(kind="text", text=f"report {number}"),)
                reports.tell(channel, ChatContent(summary=f"report {number};", parts=parts), f"{number:064x}", urgency)

        self.transactions.run(report)

    def tick(self) -> None:
        self.transactions.run(self.reporting.tell_more)

    def sent(self) -> list[tuple[str, str]]:
        """Return the messages that reached the gateway: channel and all text. It writes a row for each."""
        consumer = self.bus.consume([CHAT_GATEWAY_QUEUE.name], prefetch=5000)
        deliveries = consumer.take(5000, timeout=0)
        consumer.ack(deliveries)
        consumer.close()
        found = []
        for delivery in deliveries:
            message = codec.decode(delivery).message
            assert isinstance(message, SendChatMessage)
            text = "\n".join([message.content.summary, *(part.text for part in message.content.parts)])
            found.append((message.recipient.id, text))
            with self.engine.begin() as connection:
                connection.execute(insert(ChatDeliveryRow).values(
                    message_id=delivery.message_id, kind="send", recipient_kind="channel", state="pending", sequence=0,
                    recipient_id=message.recipient.id, content={}, notify=False, created_at=self.clock.now(),
                ))  # fmt: skip
        return found

    def post(self, state: str = "sent") -> None:
        """Let the chat system take everything, or refuse it (`failed`)."""
        with self.engine.begin() as connection:
            connection.execute(update(ChatDeliveryRow).values(state=state))

    def kept(self) -> int:
        with self.engine.connect() as connection:
            return len(connection.execute(ReportRow.__table__.select().where(ReportRow.content.is_not(None))).all())

    def work_off(self) -> list[str]:
        """Go on until nothing is kept; returns the texts."""
        texts = []
        while self.kept():
            self.tick()
            texts += [text for _, text in self.sent()]
            self.post()
        return texts


@pytest.fixture
def newsroom(engine: Engine, memory_bus: KombuBus) -> Newsroom:
    return Newsroom(engine, memory_bus)


def told(texts: Sequence[str], numbers: Sequence[int]) -> list[int]:
    """How often each report is told in its own words."""
    return [sum(f"report {number};" in text for text in texts) for number in numbers]


def test_while_the_channel_keeps_up_every_report_is_a_message_at_once(newsroom: Newsroom) -> None:
    for number in range(10):
        newsroom.tell([number])
        assert [text.splitlines()[0] for _, text in newsroom.sent()] == [f"report {number};"]
        newsroom.post()
        newsroom.tick()

    assert newsroom.kept() == 0


def test_every_report_of_a_storm_is_told_once_in_few_messages(newsroom: Newsroom) -> None:
    numbers = range(1000)
    for number in numbers:
        newsroom.tell([number])
    texts = [text for _, text in newsroom.sent()]
    newsroom.post()

    texts += newsroom.work_off()

    assert told(texts, numbers) == [1] * 1000
    assert len(texts) <= AHEAD + 1000 / MOST_TOGETHER + 1
    assert "20 reports in one, the most urgent first:" in texts[-2]


def test_many_reports_of_one_moment_do_not_fill_the_channel_either(newsroom: Newsroom) -> None:
    newsroom.tell(range(200))

    assert (len(newsroom.sent()), newsroom.kept()) == (AHEAD, 200 - AHEAD)


def test_what_is_kept_goes_on_as_the_channel_takes_it(newsroom: Newsroom) -> None:
    newsroom.tell(range(100))
    newsroom.sent()

    newsroom.tick()
    assert newsroom.sent() == []
    newsroom.post()
    newsroom.tick()

    assert len(newsroom.sent()) == 1
    assert newsroom.kept() == 100 - AHEAD - MOST_TOGETHER


def test_the_most_urgent_are_told_first(newsroom: Newsroom) -> None:
    newsroom.tell(range(50))
    newsroom.tell([77], CRITICAL)
    newsroom.sent()
    newsroom.post()

    newsroom.tick()

    ((_, text),) = newsroom.sent()
    assert next(line for line in text.splitlines() if line.startswith("• ")) == "• report 77;"


def test_a_report_alone_is_told_as_it_is(newsroom: Newsroom) -> None:
    newsroom.tell(range(AHEAD + 1))
    newsroom.sent()
    newsroom.post()

    newsroom.tick()

    assert newsroom.sent() == [(CHANNEL, f"report {AHEAD};\nreport {AHEAD}")]


def test_one_channels_storm_does_not_hold_up_another(newsroom: Newsroom) -> None:
    newsroom.tell(range(50))
    newsroom.sent()

    newsroom.tell([1], channel=OTHER)

    assert [channel for channel, _ in newsroom.sent()] == [OTHER]


def test_while_the_gateway_is_down_little_goes_to_its_queue_and_nothing_is_lost(newsroom: Newsroom) -> None:
    for minute in range(30):
        newsroom.tell([minute])
        newsroom.tick()
        newsroom.clock.advance(timedelta(minutes=1))
    texts = [text for _, text in newsroom.sent()]
    assert len(texts) <= AHEAD + 30 / 5 * AHEAD
    newsroom.post()

    assert told(texts + newsroom.work_off(), range(30)) == [1] * 30


def test_a_message_that_the_gateway_could_not_post_holds_up_no_other(newsroom: Newsroom) -> None:
    newsroom.tell(range(AHEAD + 1))
    newsroom.sent()
    newsroom.post("failed")

    newsroom.tick()

    assert len(newsroom.sent()) == 1


def test_two_dispatchers_tell_nothing_twice(engine: Engine, memory_bus: KombuBus) -> None:
    newsroom = Newsroom(engine, memory_bus)
    newsroom.tell(range(300))
    texts = [text for _, text in newsroom.sent()]
    newsroom.post()

    def dispatch() -> None:
        for _ in range(10):
            newsroom.tick()

    threads = [threading.Thread(target=dispatch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    texts += [text for _, text in newsroom.sent()]
    newsroom.post()
    texts += newsroom.work_off()
    assert told(texts, range(300)) == [1] * 300
