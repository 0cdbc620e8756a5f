"""The checker itself: with a fault planted in each service, it says what went wrong."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.faults.checker import Checker
from tests.faults.conftest import Broken
from tests.stack import Name
from tests.waiting import eventually

PLANTED: dict[Name, tuple[str, str]] = {
    "ingest": ("inbox", "before-ack"),
    "dispatcher": ("outbox", "after-commit"),
    "chat-gateway": ("find", "after-call"),
    "auth-poller": ("proof", "after-ack"),
}


def test_planted_faults_are_found(own_place: Broken) -> None:
    stack = own_place.stack
    program = [sys.executable, str(Path(__file__).with_name("planted.py"))]
    for name, (fault, point) in PLANTED.items():
        stack.start(name, command=[*program, fault], SECURITYBOT_FAILPOINT=point)
    eventually(lambda: own_place.deliverable() and stack.rows("SELECT 1 FROM people"), 40)
    lost = own_place.send(10, "lost")
    for name, (fault, _) in PLANTED.items():
        if name != "auth-poller":
            own_place.send(10, f"wakes {name}")
            eventually(lambda name=name: not stack.processes[name].alive(), 30)
            stack.start(name, command=[*program, fault])
    refusing = [member.name for member in own_place.crowd.members if member.habit == "refuses"]
    for number in range(2):
        (believed,) = own_place.send(1, f"believed {number}", refusing)
        eventually(lambda: own_place.outcomes.of(believed["hash"]) or not stack.processes["auth-poller"].alive(), 40)
        if not stack.processes["auth-poller"].alive():
            stack.start("auth-poller", command=[*program, "proof"])
    own_place.settled(20)
    habits = {member.id: member.habit for member in own_place.crowd.members}
    found = Checker(stack, own_place.published, own_place.outcomes.everything(), habits).check()
    assert found.miscounted
    assert found.left_over
    assert found.unresolved
    assert found.prompts_twice
    assert found.believed_without_proof
    assert {name.partition(":")[0] for name in found.problems} >= {"miscounted", "left_over", "prompts_twice"}
    assert len(lost) == 10


def test_an_alert_that_never_arrived_is_found(place: Broken) -> None:
    place.settled()
    phantom = {"hash": "0" * 64}
    habits = {member.id: member.habit for member in place.crowd.members}
    published = [*place.published, phantom]
    found = Checker(
        place.stack, published, place.outcomes.everything(), habits,
        uncounted=place.uncounted, quarantined=place.quarantined,
    ).check()  # fmt: skip
    assert (found.lost, found.outcomes_missing) == (1, 1)
