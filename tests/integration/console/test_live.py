"""Pages that stay fresh: what an open page is told, and that nobody looks when nobody watches."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import event

from tests.integration.console.conftest import House
from tests.waiting import eventually


@pytest.fixture
def watched(each_house: House) -> Iterator[House]:
    thread = threading.Thread(target=each_house.desk.feed.run, daemon=True)
    thread.start()
    yield each_house
    each_house.desk.feed.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_an_open_page_is_told_of_changes_and_of_what_waits(watched: House) -> None:
    visitor = watched.visitor()
    with visitor.client.stream("GET", "/live") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = (json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))
        first = next(events)
        assert first["waiting"] == 0
        digest = watched.alert(1)
        assert next(events)["waiting"] == 1
        visitor.post(f"/alerts/{digest}/comment", {"comment": "c"})
        second = next(events)
        assert (second["waiting"], second["marker"] != first["marker"]) == (1, True)


def test_nobody_looks_when_nobody_watches(watched: House) -> None:
    with watched.visitor().client.stream("GET", "/live") as stream:
        next(stream.iter_lines())
    eventually(lambda: not watched.desk.feed._watched.is_set())
    threading.Event().wait(1.1)  # a look that was under way has ended
    looks: list[str] = []
    event.listen(watched.engine, "before_cursor_execute", lambda *given: looks.append(given[2]))
    assert not threading.Event().wait(1.2)
    assert looks == []


def test_a_stream_ends_when_the_service_stops(watched: House) -> None:
    with watched.visitor().client.stream("GET", "/live") as stream:
        lines = stream.iter_lines()
        next(lines)
        watched.desk.feed.stop()
        assert not any(lines)
