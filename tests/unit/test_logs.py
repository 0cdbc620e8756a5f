"""Logs: one formatter for everybody, no secret, no forged line."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from common.logs import configure_logging, get_logger


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_an_event_is_one_json_object_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")

    get_logger("test.json").info("alert_accepted", alert="ab12", number=3)

    (line,) = lines(capsys)
    assert line["event"] == "alert_accepted"
    assert (line["alert"], line["number"], line["level"], line["logger"]) == ("ab12", 3, "info", "test.json")
    assert line["timestamp"].endswith("Z")


def test_other_libraries_records_come_out_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")

    logging.getLogger("foreign").warning("lost %s after %d s", "connection", 3)

    (line,) = lines(capsys)
    assert (line["event"], line["logger"], line["level"]) == ("lost connection after 3 s", "foreign", "warning")


def test_what_is_bound_is_in_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")

    with structlog.contextvars.bound_contextvars(alert="ab12"):
        get_logger("test.bound").info("one")
        logging.getLogger("foreign").warning("two")
    get_logger("test.bound").info("three")

    assert [line.get("alert") for line in lines(capsys)] == ["ab12", "ab12", None]


def test_secrets_are_redacted_wherever_they_turn_up(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json", secrets=["s3cret", "s3cret-and-longer"])

    get_logger("test.secret").info("event", url="amqp://bot:s3cret@host", nested={"token": "s3cret-and-longer"})
    logging.getLogger("foreign").error("token %s", "s3cret")
    get_logger("test.secret").error("failed", exc_info=ValueError("bad s3cret"))

    written = capsys.readouterr().err
    assert "s3cret" not in written
    assert written.count("[redacted]") >= 4
    assert "-and-longer" not in written


def test_values_without_a_secret_keep_their_type(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json", secrets=["s3cret"])

    get_logger("test.types").info("event", number=3, nothing=None, yes=True, several=[1, 2])

    (line,) = lines(capsys)
    assert (line["number"], line["nothing"], line["yes"], line["several"]) == (3, None, True, [1, 2])


@pytest.mark.parametrize("form", ["json", "console"])
def test_text_from_outside_cannot_forge_a_line(form: Any, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(form)

    get_logger("test.forged").info("event", title="x\n2026-01-01 [info] all_is_well\r\n")

    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("hostile", ["\x1b[2J\x1b[31m", "\u202e", "\u200b", "\r", "\x07", "\x9b2J", "\u2028", "\ud800"])
def test_text_from_outside_does_nothing_to_a_terminal(
    form: Any, hostile: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(form)

    get_logger("test.escapes").info("event", title=f"a{hostile}b")
    logging.getLogger("test.foreign").warning("refused %s", f"c{hostile}d\nforged")

    told = capsys.readouterr().err
    ours = re.sub(r"\x1b\[[0-9]+m", "", told.replace(f"a{hostile}b", "HOSTILE").replace(f"c{hostile}d", "HOSTILE"))
    assert "HOSTILE" not in ours
    assert len(told.splitlines()) == 2
    assert ("\x1b" in ours) is False


def test_without_a_terminal_the_form_is_json_and_on_one_it_is_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure_logging(None)
    get_logger("test.auto.json").info("event")
    assert lines(capsys)[0]["event"] == "event"

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    configure_logging(None)
    get_logger("test.auto.console").info("event")
    assert not capsys.readouterr().err.startswith("{")


def test_the_bus_library_is_not_heard(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")

    logging.getLogger("pika.connection").error("nested noise")

    assert capsys.readouterr().err == ""
