"""What the dashboard and the alert rules ask for is what services and broker export while they work."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from common import metrics
from common.bus import open_bus
from common.topology import TOPOLOGY
from tests.conftest import running
from tests.observability.queries import missing, queries, selectors
from tests.outside import Outcomes, alert, publish
from tests.person import Person
from tests.servers import RabbitServer, free_port
from tests.stack import Stack
from tests.waiting import eventually

Samples = list[tuple[str, dict[str, str]]]
EMPTY = {
    f"{metric._name}_total": dict.fromkeys(metric._labelnames, "")
    for metric in vars(metrics).values()
    if isinstance(metric, MetricWrapperBase)
}
"""Labels of counters that have counted nothing yet: those show their name alone."""


def samples_of(text: str) -> Samples:
    families = list(text_string_to_metric_families(text))
    idle = [f"{family.name}_total" for family in families if family.type == "counter" and not family.samples]
    counted = [(sample.name, sample.labels) for family in families for sample in family.samples]
    return counted + [(name, EMPTY[name]) for name in idle]


@pytest.fixture(scope="module")
def broker_metrics() -> Iterator[Samples]:
    """What RabbitMQ's own Prometheus plug-in says of our queues."""
    port = free_port()

    def with_plugin() -> RabbitServer:
        server = RabbitServer(settings=f"prometheus.tcp.port = {port}\nprometheus.tcp.ip = 127.0.0.1")
        (server.folder / "enabled_plugins").write_text("[rabbitmq_prometheus].\n")
        return server

    def queues() -> Samples:
        families = {"family": ["queue_coarse_metrics", "queue_consumer_count"]}
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics/detailed", params=families).text
        return [
            (sample.name, sample.labels)
            for family in text_string_to_metric_families(answer)
            for sample in family.samples
            if "queue" in sample.labels
        ]

    for server in running(with_plugin):
        bus = open_bus(server.url)
        bus.declare(TOPOLOGY)
        bus.close()
        yield eventually(queues, 30)


def test_every_metric_and_label_of_the_queries_is_exported(
    stack: Stack, outcomes: Outcomes, person: Person, broker_metrics: Samples
) -> None:
    body = alert(person.name, "measured")
    publish(stack.amqp_url, [body])
    person.click(person.card("measured"), "yes", "it was me")
    person.offer()
    person.say("yes")
    person.answer_push("allow")
    assert outcomes.wait(body["hash"])["resolution"] == "confirmed"
    answers = [process.get("/metrics") for process in stack.processes.values()]
    exported = broker_metrics + [sample for answer in answers if answer for sample in samples_of(answer.text)]
    asked = [selector for query in queries() for selector in selectors(query)]
    assert len(asked) > 30
    assert [problem for selector in asked if (problem := missing(selector, exported))] == []
