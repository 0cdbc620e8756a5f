"""The floor of the idle latency: the same three stages without any logic, one thread each.

`python -m bench.floor QUEUE TARGET` is one stage: take a message from a quorum queue, insert one row and commit,
publish to TARGET with a confirm (or, where TARGET is `slack`, call `chat.postMessage`), acknowledge. What one of our
messages costs more than that is ours; what it costs with that is the machine's, the broker's and the database's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import pika
import pymysql
from slack_sdk import WebClient
from sqlalchemy import make_url, text

from bench.stack import Stack

STAGES = (("floor.ingest", "floor.dispatcher"), ("floor.dispatcher", "floor.gateway"), ("floor.gateway", "slack"))
INSERT = "INSERT INTO floor_rows (stage, body) VALUES (%s, %s)"
VARIABLE = "BENCH_FLOOR"
"""Where a stage finds its addresses and tokens."""
PADDING = "x" * 800
"""An alert's card is about as long."""


def floor(stack: Stack, alerts: int, warm_up: int, apart: float) -> list[float]:
    """Return the milliseconds from publishing to the arrival at Slack, one alert at a time, in ascending order."""
    with stack.engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE floor_rows (id BIGINT AUTO_INCREMENT PRIMARY KEY, stage TEXT, body BLOB)")
        )
    broker = pika.BlockingConnection(pika.URLParameters(stack.rabbit.url))
    channel = broker.channel()
    for queue, _ in STAGES:
        channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
    addresses = {"amqp": stack.rabbit.url, "database": stack.database_url, "slack": stack.slack}
    environment = os.environ | {VARIABLE: json.dumps(addresses)}
    processes = [
        subprocess.Popen([sys.executable, "-m", "bench.floor", *stage], env=environment, stdout=subprocess.PIPE)
        for stage in STAGES
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        direct = _slack(stack.slack).api_call(
            "conversations.open", params={"users": stack.control("add_user", name="floor")}
        )
        published: dict[str, float] = {}
        for number in range(warm_up + alerts):
            message_id = f"floor-{number}"
            body = json.dumps({"channel": direct["channel"]["id"], "text": PADDING}).encode()
            properties = pika.BasicProperties(message_id=message_id, delivery_mode=2)
            published[message_id] = time.time()
            channel.basic_publish("", STAGES[0][0], body, properties)
            broker.sleep(apart)
        broker.sleep(1)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    arrived = {call["message_id"]: call["at"] for call in stack.control("requests", method="chat.postMessage")}
    stack.control("forget")
    return sorted(1000 * (arrived[key] - published[key]) for key in list(published)[warm_up:])


def stage(queue: str, target: str) -> None:
    """Be one stage, until killed."""
    addresses = json.loads(os.environ[VARIABLE])
    url = make_url(addresses["database"])
    database = pymysql.connect(
        host=url.host, port=url.port or 3306, user=url.username, password=url.password or "", database=url.database
    )
    cursor = database.cursor()
    slack = _slack(addresses["slack"])
    channel = pika.BlockingConnection(pika.URLParameters(addresses["amqp"])).channel()
    channel.confirm_delivery()
    channel.basic_qos(prefetch_count=100)

    def take(_channel: Any, method: Any, properties: Any, body: bytes) -> None:
        cursor.execute(INSERT, (queue, body))
        database.commit()
        if target == "slack":
            metadata = {"event_type": "floor", "event_payload": {"message_id": properties.message_id}}
            slack.api_call("chat.postMessage", json=json.loads(body) | {"metadata": metadata})
        else:
            channel.basic_publish("", target, body, properties)
        channel.basic_ack(method.delivery_tag)

    channel.basic_consume(queue, take)
    print("ready", flush=True)
    channel.start_consuming()


def _slack(fake: dict[str, Any]) -> WebClient:
    return WebClient(token=fake["bot_token"], base_url=fake["api_url"], retry_handlers=[])


if __name__ == "__main__":
    stage(*sys.argv[1:])
