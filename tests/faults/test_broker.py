"""What happens to the broker and to the way there: killed, blocked, robbed of a queue, cut off, silent, slow."""

from __future__ import annotations

import time

import httpx
import pika

from tests.faults.conftest import LONG, Broken, only_long
from tests.outside import alert
from tests.stack import SERVICES
from tests.waiting import eventually

CUT_SECONDS = 30.0 if LONG else 2.0


def test_the_broker_killed_under_load_and_started_again(place: Broken) -> None:
    ended = place.flood(3)
    time.sleep(1)
    place.rabbit.kill()
    place.rabbit.start()
    ended.join()
    place.verify()


def test_a_broker_that_blocks_publishers_is_waited_for(place: Broken) -> None:
    token = place.token()
    place.rabbit.ctl("set_vm_memory_high_watermark", "0.00001")
    try:
        url = f"http://127.0.0.1:{place.stack.processes['ingest'].port}/v1/alerts"
        body = alert(place.crowd.members[0].name, "while blocked")
        answer = httpx.post(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=20)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        ready = place.stack.processes["ingest"].get("/readyz")
        assert ready is not None
        assert "broker" in ready.json()["problems"]
    finally:
        place.rabbit.ctl("set_vm_memory_high_watermark", "0.4")
    answer = httpx.post(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=20)
    assert answer.status_code == 202
    place.published.append(body)
    place.uncounted.add(body["hash"])  # the refused try may have arrived as well: that is one more occurrence
    place.send(10, "after the block")
    place.verify()


def test_a_queue_deleted_under_its_consumer_comes_back(place: Broken) -> None:
    place.send(5, "before the deletion")
    place.settled()
    connection = pika.BlockingConnection(pika.URLParameters(place.stack.amqp_url))
    for name in SERVICES:
        connection.channel().queue_delete(f"securitybot.{name}")
    connection.close()
    eventually(place.deliverable, 20)
    place.send(10, "after the deletion")
    place.verify()


@only_long
def test_cut_off_from_the_broker_for_a_while(place: Broken) -> None:
    ended = place.flood(2 + CUT_SECONDS, per_second=10)
    time.sleep(1)
    place.broker_way.away()
    time.sleep(CUT_SECONDS)
    place.broker_way.heal()
    ended.join()
    place.verify()


def test_a_half_open_connection_to_the_broker_is_noticed(place: Broken) -> None:
    place.send(5, "before the silence")
    place.broker_way.stall()
    place.send(10, "during the silence")
    time.sleep(CUT_SECONDS)
    place.broker_way.cut()
    place.broker_way.heal()
    place.verify()


def test_half_a_second_of_latency_to_the_broker_and_the_record(place: Broken) -> None:
    place.broker_way.latency = place.database_way.latency = 0.5
    place.send(6, "slow")
    time.sleep(CUT_SECONDS)
    place.broker_way.heal()
    place.database_way.heal()
    place.verify()
