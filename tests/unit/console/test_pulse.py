"""What the system page knows of services in other processes."""

from __future__ import annotations

import time

from services.console.pulse import Health, Pulse

LAST_LOOP = 'securitybot_last_loop_timestamp_seconds{service="ingest"}'

METRICS = """# TYPE securitybot_messages_handled_total counter
securitybot_messages_handled_total{{service="ingest",type="x"}} {0}
# TYPE securitybot_chat_rate_limit_waits_total counter
securitybot_chat_rate_limit_waits_total{{method="m"}} 2.0
"""


class Services:
    """Answers as services do."""

    def __init__(self) -> None:
        self.handled = 0
        self.ready: tuple[int, str] = (200, "{}")
        self.down: set[str] = set()
        self.asked: list[str] = []

    def __call__(self, url: str) -> tuple[int, str]:
        self.asked.append(url)
        if any(url.startswith(base) for base in self.down):
            raise OSError("refused")
        return self.ready if url.endswith("/readyz") else (200, METRICS.format(self.handled))


def nothing_here() -> bytes:
    """A process in which no other service runs."""
    return b""


def test_a_service_is_ready_not_ready_or_not_reached() -> None:
    services = Services()
    pulse = Pulse({"ingest": "http://in:1"}, services, nothing_here)
    pulse.look()
    assert pulse.services["ingest"].alive
    assert "http://in:1/readyz" in services.asked
    assert "http://127.0.0.1:8083/readyz" in services.asked
    services.ready = (503, '{"problems": {"broker": "not connected"}}')
    pulse.look()
    assert (pulse.services["ingest"].alive, pulse.services["ingest"].state) == (
        False, "not ready: broker: not connected",
    )  # fmt: skip
    services.ready = (503, "<html>")
    pulse.look()
    assert pulse.services["ingest"].state == "not ready"
    services.down = {"http://in:1"}
    pulse.look()
    assert pulse.services["ingest"].state == "not reached at http://in:1"


def test_a_rate_needs_two_looks_and_a_restart_makes_it_no_less_than_nothing() -> None:
    health = Health("ingest")
    assert health.per_minute("handled") is None
    health.history.append((0.0, {"handled": 10.0}))
    assert health.per_minute("handled") is None
    health.history.append((30.0, {"handled": 40.0}))
    assert health.per_minute("handled") == 60.0
    health.history.append((60.0, {"handled": 0.0}))
    assert health.per_minute("handled") == 0.0


def test_counters_are_read_from_the_metrics() -> None:
    services = Services()
    pulse = Pulse({}, services, nothing_here)
    services.handled = 5
    pulse.look()
    samples = pulse.services["ingest"].history[-1][1]
    assert (samples["handled"], samples["waits"], samples["pushes"]) == (5.0, 2.0, 0.0)


def test_a_service_of_this_process_is_found_in_its_own_metrics_and_not_asked_for() -> None:
    services = Services()
    own = f"# TYPE securitybot_last_loop_timestamp_seconds gauge\n{LAST_LOOP} {time.time()}\n"
    pulse = Pulse({}, services, own.encode)
    pulse.look()
    assert (pulse.services["ingest"].alive, pulse.services["ingest"].state) == (True, "in this process")
    assert not any(":8080/" in url for url in services.asked)
    pulse = Pulse({}, services, f"# TYPE securitybot_last_loop_timestamp_seconds gauge\n{LAST_LOOP} 0\n".encode)
    pulse.look()
    assert not pulse.services["ingest"].alive
