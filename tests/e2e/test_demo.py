"""The demo as its user meets it: scripted over a pipe, killed and started again, and on a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import free_port
from tests.stack import SCRIPT

SECONDS = 120.0
ON_A_TERMINAL = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes its standard input the controlling terminal, so that a typed Ctrl-C is a signal; background jobs ignore it."""


def environment() -> dict[str, str]:
    """Return a user's environment, without any settings but a port that nobody else uses."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SECURITYBOT_")}
    return kept | {"SECURITYBOT_HTTP_PORT": str(free_port()), "TERM": "xterm", "COLUMNS": "120"}


def scripted(folder: Path, *lines: str) -> str:
    """Run the demo with these lines typed, and return what it showed."""
    done = subprocess.run(
        [SCRIPT, "demo"],
        input="".join(f"{line}\n" for line in lines),
        env=environment(),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert done.stderr == ""
    return done.stdout


def read_until(stream: int, words: str) -> str:
    """Read a file descriptor until `words` were shown."""
    shown, deadline = "", time.monotonic() + SECONDS
    while words not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([stream], [], [], 1.0)[0]:
            chunk = os.read(stream, 65_536).decode(errors="replace")
            assert chunk, shown
            shown += chunk
    return shown


def rest_of(stream: int) -> str:
    """Return what is left to read of a terminal whose other side is closed."""
    shown = b""
    with contextlib.suppress(OSError):  # how Linux tells that nobody is there any more
        while chunk := os.read(stream, 65_536):
            shown += chunk
    return shown.decode(errors="replace")


def verdicts(folder: Path) -> list[str | None]:
    """Return the resolutions in the demo's record."""
    with sqlite3.connect(folder / "securitybot.db") as record:
        return [row[0] for row in record.execute("SELECT resolution FROM alerts ORDER BY id")]


def test_a_scripted_conversation_ends_in_the_recorded_outcome(tmp_path: Path) -> None:
    shown = scripted(tmp_path, "yes I was patching", "yes", "1")
    assert "securitybot: Hello" in shown
    assert "is your phone at hand" in shown
    assert "Recorded outcome" in shown
    assert re.search(r"resolution\s+confirmed\b", shown)
    assert re.search(r"comment\s+I was patching", shown)
    assert verdicts(tmp_path) == ["confirmed"]


def test_what_was_settled_leaves_no_buttons_behind(tmp_path: Path) -> None:
    """`no` answers the question, not a push that is over; `1` is no click on a card that is answered."""
    shown = scripted(tmp_path, "ignore current 1h", "yes", "approve", "no", "1", "quit", "not read any more")
    assert re.search(r"resolution\s+denied\b", shown)
    assert "I did not understand that" in shown
    assert "not read any more" not in shown
    assert verdicts(tmp_path) == ["denied"]


def test_started_again_after_a_confirmed_alert_it_asks_about_another(tmp_path: Path) -> None:
    scripted(tmp_path, "yes", "yes, patching", "1")
    shown = scripted(tmp_path, "no")
    assert "log-in from a new country" in shown
    assert verdicts(tmp_path) == ["confirmed", "denied"]
    with sqlite3.connect(tmp_path / "securitybot.db") as record:
        assert record.execute("SELECT comment FROM alerts ORDER BY id").fetchall()[0] == ("patching",)


def test_killed_and_started_again_it_goes_on_where_it_was(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [SCRIPT, "demo"], env=environment(), cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert demo.stdin is not None
    assert demo.stdout is not None
    with demo.stdin, demo.stdout:
        read_until(demo.stdout.fileno(), "[4] Wrong person")
        demo.stdin.write(b"yes before the crash\n")
        demo.stdin.flush()
        read_until(demo.stdout.fileno(), "[2] No push")
        demo.kill()
        demo.wait()
    shown = scripted(tmp_path, "yes", "1")
    assert "(going on where we were)" in shown
    assert re.search(r"resolution\s+confirmed\b", shown)
    assert re.search(r"comment\s+before the crash", shown)
    assert verdicts(tmp_path) == ["confirmed"]


def test_killed_in_the_middle_of_everything_it_loses_and_repeats_nothing(tmp_path: Path) -> None:
    for moment in (0.6, 1.0, 1.4):
        with subprocess.Popen(
            [SCRIPT, "demo"], env=environment(), cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as demo:
            with pytest.raises(subprocess.TimeoutExpired):
                demo.wait(moment)
            demo.kill()
    scripted(tmp_path, "no", "no", "no", "no")
    assert set(verdicts(tmp_path)) <= {"denied"}
    with sqlite3.connect(tmp_path / "securitybot.db") as record:
        asked = record.execute("SELECT alert_hash FROM history WHERE action = 'asked'").fetchall()
    assert len(asked) == len(set(asked))


def test_on_a_terminal_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    terminal, theirs = pty.openpty()
    demo = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL, SCRIPT, "demo"],
        env=environment(), cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        read_until(terminal, "[4] Wrong person")
        os.write(terminal, b"no\n")
        shown = read_until(terminal, "Recorded outcome")
        if "> " not in shown.partition("Recorded outcome")[2]:
            read_until(terminal, "> ")
        os.write(terminal, b"\x03")
        assert demo.wait(30) == 0
        assert "Traceback" not in rest_of(terminal)
        assert verdicts(tmp_path) == ["denied"]
    finally:
        demo.kill()
        demo.wait()
        os.close(terminal)
