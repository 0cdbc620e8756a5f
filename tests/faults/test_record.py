"""What happens to the record and to the way there: killed, read-only, full, locked, out of connections, silent."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from tests.faults.conftest import LONG, Broken, only_long
from tests.waiting import eventually

SECONDS = 30.0 if LONG else 2.0


@pytest.fixture
def server(place: Broken) -> ServerSession:
    """The administrator's connection to the database server."""
    return ServerSession(place)


class ServerSession:
    """Runs statements as the administrator."""

    def __init__(self, place: Broken) -> None:
        self._engine = create_engine(place.maria.url, poolclass=NullPool)

    def run(self, *statements: str) -> None:
        with self._engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))


def test_the_database_killed_under_load_and_started_again(place: Broken) -> None:
    ended = place.flood(3)
    time.sleep(1)
    place.maria.kill()
    place.maria.start()
    ended.join()
    place.verify()


def test_a_record_that_is_read_only_for_a_while(place: Broken, server: ServerSession) -> None:
    server.run("SET GLOBAL read_only = 1")
    place.send(10, "read-only")
    time.sleep(SECONDS)
    server.run("SET GLOBAL read_only = 0")
    place.verify()
    assert place.told("--read-only")


def test_a_disk_that_is_full_for_a_while(place: Broken, server: ServerSession) -> None:
    database = place.stack.engine.url.database
    tables = ("inbox", "alerts", "chat_deliveries", "history")
    server.run(*(
        f"CREATE TRIGGER {database}.full_{table} BEFORE INSERT ON {database}.{table} FOR EACH ROW "
        "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1021, MESSAGE_TEXT = 'Disk full'"
        for table in tables
    ))  # fmt: skip
    place.send(10, "disk full")
    time.sleep(SECONDS)
    server.run(*(f"DROP TRIGGER {database}.full_{table}" for table in tables))
    place.verify()
    assert place.told("Disk full")


def test_too_many_connections_for_a_while(place: Broken, server: ServerSession) -> None:
    server.run("SET GLOBAL max_connections = 10")
    place.database_way.away()
    hogs: list[Connection] = []
    eventually(lambda: _hog(place, hogs))
    place.database_way.heal()
    place.send(10, "too many")
    time.sleep(SECONDS)
    for hog in hogs:
        hog.close()
    server.run("SET GLOBAL max_connections = 151")
    place.verify()
    assert place.told("Too many connections")


def _hog(place: Broken, hogs: list[Connection]) -> bool:
    """Take a connection more; true once there are no more."""
    try:
        hogs.append(place.stack.engine.connect())
    except OperationalError:
        return len(hogs) >= 9
    return False


def test_lock_time_outs_and_deadlocks_are_tried_again(place: Broken, server: ServerSession) -> None:
    server.run("SET GLOBAL innodb_lock_wait_timeout = 1")
    place.database_way.cut()  # the setting is read when a session begins
    stop = threading.Event()
    quarrel = threading.Thread(target=_quarrel, args=(place, stop), daemon=True)
    quarrel.start()
    try:
        place.flood(SECONDS + 3).join()
    finally:
        stop.set()
        quarrel.join()
        server.run("SET GLOBAL innodb_lock_wait_timeout = 50")
    place.verify()
    assert place.told("Lock wait timeout")


def _quarrel(place: Broken, stop: threading.Event) -> None:
    """Lock rows that the services need, in the order that makes deadlocks, for longer than they wait."""
    while not stop.is_set():
        with contextlib.suppress(OperationalError), place.stack.engine.connect() as connection, connection.begin():
            for statement in (
                "SELECT * FROM conversations ORDER BY person_id DESC FOR UPDATE",
                "UPDATE alerts SET occurrences = occurrences ORDER BY id DESC LIMIT 20",
                "UPDATE chat_deliveries SET notify = notify ORDER BY created_at DESC LIMIT 20",
            ):
                connection.execute(text(statement))
            stop.wait(1.3)
            connection.rollback()
        stop.wait(0.2)


@only_long
def test_cut_off_from_the_record_for_a_while(place: Broken) -> None:
    ended = place.flood(2 + SECONDS, per_second=10)
    time.sleep(1)
    place.database_way.away()
    time.sleep(SECONDS)
    place.database_way.heal()
    ended.join()
    place.verify()


def test_a_half_open_connection_to_the_record_holds_nothing_up_for_ever(place: Broken) -> None:
    place.send(5, "before the silence")
    place.database_way.stall()
    place.send(10, "during the silence")
    time.sleep(SECONDS)
    place.database_way.cut()
    place.database_way.heal()
    place.verify()
