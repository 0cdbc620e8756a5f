"""Are the services alive, and how busy: their `/readyz` and `/metrics`, looked at every few seconds.

Services of this process are found in its own metrics. The others are where `SECURITYBOT_SERVICE_URLS` says, otherwise
at their default ports on this machine.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from common.settings import HTTP_PORTS

LOOK_EVERY = 10.0
WINDOW = 60.0
TIMEOUT = 2.0
MOST_BYTES = 1024 * 1024
ALIVE_WITHIN = 60.0
WATCHED = ("ingest", "dispatcher", "chat-gateway", "auth-poller")
RATES = {
    "handled": "securitybot_messages_handled_total",
    "failed": "securitybot_messages_failed_total",
    "quarantined": "securitybot_messages_quarantined_total",
    "calls": "securitybot_chat_calls_total",
    "waits": "securitybot_chat_rate_limit_waits_total",
    "pushes": "securitybot_pushes_total",
}

Samples = Mapping[str, float]
Fetch = Callable[[str], tuple[int, str]]
"""Returns status and body of a URL; raises OSError when nobody answers."""
OwnMetrics = Callable[[], bytes]
"""Returns what this process's services have counted, in Prometheus' text format."""


@dataclass(slots=True)
class Health:
    """What is known of one service."""

    name: str
    state: str = "not looked at yet"
    alive: bool = False
    history: deque[tuple[float, Samples]] = field(default_factory=lambda: deque(maxlen=int(WINDOW / LOOK_EVERY) + 1))

    def per_minute(self, what: str) -> float | None:
        """Return the rate over the last minute; None before there are two looks."""
        if len(self.history) < 2:  # noqa: PLR2004 - a rate needs two
            return None
        (began, first), (ended, last) = self.history[0], self.history[-1]
        delta = last.get(what, 0.0) - first.get(what, 0.0)
        return max(0.0, delta) * 60 / max(1.0, ended - began)


class Pulse:
    """Looks on a thread of its own."""

    name = "console-pulse"

    def __init__(self, urls: Mapping[str, str], fetch: Fetch | None = None, own: OwnMetrics = generate_latest) -> None:
        self._urls = {name: urls.get(name, f"http://127.0.0.1:{HTTP_PORTS[name]}") for name in WATCHED}
        self._fetch = fetch or fetch_url
        self._own = own
        self._stopping = threading.Event()
        self.services = {name: Health(name) for name in WATCHED}

    def run(self) -> None:
        """Look every few seconds."""
        while not self._stopping.is_set():
            self.look()
            self._stopping.wait(LOOK_EVERY)

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping.set()

    def look(self) -> None:
        """Look once."""
        own = self._own().decode()
        here = {service: at for service, at in _last_loops(own).items() if service in WATCHED}
        for name, health in self.services.items():
            if name in here:
                age = time.time() - here[name]
                health.alive = age < ALIVE_WITHIN
                health.state = "in this process" if health.alive else f"stands still for {age:.0f} s"
                health.history.append((time.monotonic(), _samples(own, name)))
            else:
                self._ask(health)

    def _ask(self, health: Health) -> None:
        try:
            status, ready = self._fetch(f"{self._urls[health.name]}/readyz")
            _, metrics = self._fetch(f"{self._urls[health.name]}/metrics")
        except (OSError, HTTPException, ValueError):
            health.alive, health.state = False, f"not reached at {self._urls[health.name]}"
            return
        health.alive = status == 200  # noqa: PLR2004 - HTTP's own
        health.state = "ready" if health.alive else _problems(ready)
        health.history.append((time.monotonic(), _samples(metrics, None)))


def fetch_url(url: str) -> tuple[int, str]:
    """Fetch a URL of our own services; a proxy of the environment is none of their business."""
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT) as response:
            return response.status, response.read(MOST_BYTES).decode(errors="replace")
    except HTTPError as error:
        return error.code, error.read(MOST_BYTES).decode(errors="replace")
    except URLError as error:
        raise OSError(str(error.reason)) from error


def _last_loops(metrics: str) -> dict[str, float]:
    return {
        sample.labels["service"]: sample.value
        for family in text_string_to_metric_families(metrics)
        if family.name == "securitybot_last_loop_timestamp_seconds"
        for sample in family.samples
    }


def _samples(metrics: str, service: str | None) -> Samples:
    """Add up the counters; `service`: only its own, where a process has several."""
    wanted = {name: what for what, name in RATES.items()}
    found = dict.fromkeys(RATES, 0.0)
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            what = wanted.get(sample.name)
            if what and service in (None, sample.labels.get("service", service)):
                found[what] += sample.value
    return found


def _problems(body: str) -> str:
    try:
        problems = json.loads(body)["problems"]
        return "not ready: " + "; ".join(f"{name}: {text}" for name, text in problems.items())[:300]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "not ready"
