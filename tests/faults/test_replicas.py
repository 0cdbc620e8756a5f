"""Two and three processes of each service at once, and all of them restarted one after the other under load."""

from __future__ import annotations

from tests.faults.conftest import LONG, Broken
from tests.stack import SERVICES

REPLICAS = 3 if LONG else 2


def test_replicas_share_the_work_and_a_rolling_restart_loses_nothing(place: Broken) -> None:
    stack = place.stack
    for replica in range(1, REPLICAS):
        stack.start(*SERVICES, replica=replica)
    stack.wait_ready()
    ended = place.flood(40 if LONG else 6, per_second=20)
    for replica in range(REPLICAS):
        for name in SERVICES:
            process = stack.processes[f"{name}-{replica}" if replica else name]
            assert process.term() == 0
            stack.start(name, replica=replica)
        stack.wait_ready()
    ended.join()
    place.verify()
