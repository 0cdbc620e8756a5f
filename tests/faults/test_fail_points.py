"""kill -9 at every fail point of every service, one after the other, each followed by a restart."""

from __future__ import annotations

import subprocess

import pytest

from common.failpoints import POINTS
from tests.faults.conftest import LONG, Broken
from tests.stack import Name

BATCH = ("after-receive", "before-commit", "after-commit", "before-ack", "after-ack")
PUBLISHING = ("between-publishes", "before-confirms", "after-confirms")
OF_SERVICE: dict[Name, tuple[str, ...]] = {
    "ingest": BATCH + PUBLISHING,
    "dispatcher": BATCH + PUBLISHING,
    "chat-gateway": (*BATCH, "before-confirms", "before-call", "after-call", "before-intake", "after-intake"),
    "auth-poller": (*BATCH, "before-confirms", "after-confirms", "before-push", "after-push", "after-answer"),
}
IN_CI: dict[Name, tuple[str, ...]] = {
    "ingest": ("after-commit", "between-publishes", "before-ack"),
    "dispatcher": ("after-commit", "between-publishes", "before-ack"),
    "chat-gateway": ("before-commit", "after-call", "after-intake"),
    "auth-poller": ("after-push", "after-answer"),
}
"""Those at which most has been done and least is known; `make faults` tries all."""
SECONDS = 60.0
IN_FLIGHT = 4
"""Pushes that may be started at the same moment by the alerts of one try."""


def test_every_point_is_tried() -> None:
    assert {point for points in OF_SERVICE.values() for point in points} == set(POINTS)


@pytest.mark.parametrize("name", list(OF_SERVICE))
def test_killed_at_each_point_and_restarted_nothing_is_lost_or_repeated(place: Broken, name: Name) -> None:
    stack = place.stack
    stack.processes[name].kill()
    points = OF_SERVICE[name] if LONG else IN_CI[name]
    for point in points:
        (process,) = stack.start(name, SECURITYBOT_FAILPOINT=point)
        place.send(4, f"{name} {point}")
        try:
            assert process.popen.wait(SECONDS) == -9, point
        except subprocess.TimeoutExpired:
            pytest.fail(f"{name} did not get to {point}")
    stack.start(name)
    found = place.verify()
    if "after-push" in points:
        assert 1 <= found.pushes_unnoted <= IN_FLIGHT
