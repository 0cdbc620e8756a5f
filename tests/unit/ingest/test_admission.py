"""New, known, or a publisher's mistake."""

from __future__ import annotations

from datetime import UTC, datetime

from common.alerts import Alert
from services.ingest.admission import Accept, Known, Occurrence, Refuse, admit

NOW = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
ALERT = Alert(hash="a" * 64, owner="alice", title="sudo", description="d", source="x", event_time=NOW, received_at=NOW)


def test_an_unknown_hash_is_a_new_alert() -> None:
    assert admit(ALERT, None) == Accept()


def test_the_same_hash_with_the_same_owner_and_title_is_one_more_occurrence() -> None:
    assert admit(ALERT, Known("alice", "sudo")) == Occurrence()


def test_the_same_hash_with_another_owner_or_title_is_refused_and_says_what_differs() -> None:
    for known, differs in (
        (Known("bob", "sudo"), "owner"),
        (Known("alice", "su"), "title"),
        (Known("b", "s"), "owner and"),
    ):
        refused = admit(ALERT, known)
        assert isinstance(refused, Refuse)
        assert "belongs to another alert" in refused.reason
        assert differs in refused.reason
