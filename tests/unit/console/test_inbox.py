"""The inbox."""

from __future__ import annotations

from services.console.inbox import SEVERITIES, WORST_FIRST, groups_in_order


def test_the_inbox_is_sorted_by_what_is_worst() -> None:
    counts = {(str(resolution), str(severity)): 1 for resolution in WORST_FIRST for severity in SEVERITIES}
    order = [(group.resolution, group.severity) for group in groups_in_order(dict(reversed(counts.items())))]
    assert order == list(counts)
    assert order[0] == ("proof_fraud", "critical")
