"""The checker itself: with a fault planted in each service, it says what went wrong."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from tests.faults.checker import Checker
from tests.faults.conftest import Broken
from tests.stack import Name
from tests.waiting import eventually

PLANTED: dict[Name, tuple[str, str]] = {  # outbox everywhere: any service sweeps for all
    "ingest": ("outbox,inbox", "before-ack"),
    "dispatcher": ("outbox", "after-commit"),
    "chat-gateway": ("outbox,find", "after-call"),
    "auth-poller": ("outbox,proof", "after-ack"),
}


def gone(place: Broken, name: Name) -> bool:
    """Tell whether a service has been killed."""
    return not place.stack.processes[name].alive()


def ended(place: Broken, digest: str) -> bool:
    """Tell whether an alert has its outcome, or the poller has been killed on the way there."""
    return bool(place.outcomes.of(digest)) or gone(place, "auth-poller")


def test_planted_faults_are_found(own_place: Broken) -> None:
    stack = own_place.stack
    program = [sys.executable, str(Path(__file__).with_name("planted.py"))]
    for name, (fault, point) in PLANTED.items():
        stack.start(name, command=[*program, fault], SECURITYBOT_FAILPOINT=point)
    eventually(lambda: own_place.deliverable() and stack.rows("SELECT 1 FROM people"), 40, every=0.5)
    names = [member.name for member in own_place.crowd.members]
    rounds: tuple[tuple[tuple[Name, ...], list[str]], ...] = (
        (("ingest", "dispatcher"), names[:2]),
        (("chat-gateway",), names[2:5]),
    )
    for victims, people in rounds:
        own_place.send(10, f"kills {victims}", people)
        for name in victims:
            eventually(partial(gone, own_place, name), 30)
            stack.start(name, command=[*program, PLANTED[name][0]])
    refusing = [member.name for member in own_place.crowd.members if member.habit == "refuses"]
    for number in range(2):
        (believed,) = own_place.send(1, f"believed {number}", refusing)
        eventually(partial(ended, own_place, believed["hash"]), 40)
        if gone(own_place, "auth-poller"):
            stack.start("auth-poller", command=[*program, PLANTED["auth-poller"][0]])
    own_place.settled(10)
    habits = {member.id: member.habit for member in own_place.crowd.members}
    found = Checker(stack, own_place.published, own_place.outcomes.everything(), habits).check()
    assert found.miscounted
    assert found.left_over
    assert found.unresolved
    assert found.prompts_twice
    assert found.believed_without_proof
    assert {name.partition(":")[0] for name in found.problems} >= {"miscounted", "left_over", "prompts_twice"}


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
