"""The history and its seals in a real database: what was done to it is found, and what was not done is not."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, insert, select
from structlog.testing import capture_logs

from common.history_chain import Fault, SealKey
from common.logs import get_logger
from common.records.database import create_database
from common.records.migrate import create_or_migrate
from common.records.tables import HistoryRow, HistorySealRow
from services.dispatcher import sealing
from services.dispatcher.sealing import SETTLED_AFTER, Sealing
from tests.conftest import migrated
from tests.history import History

KEY, NEW_KEY = SealKey(b"k" * 32), SealKey(b"n" * 32)


@pytest.fixture(autouse=True)
def _uncached_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    """A logger that an earlier test has used keeps the processors of that time, and is not captured."""
    monkeypatch.setattr(sealing, "log", get_logger(sealing.__name__))


@pytest.fixture
def history(engine: Engine) -> History:
    return History(engine)


@pytest.fixture
def on_mariadb(mariadb_url: str) -> Iterator[History]:
    for engine in migrated(mariadb_url):
        yield History(engine)


@pytest.fixture
def few_a_seal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "MOST", 3)


def found(history: History, *keys: SealKey) -> list[tuple[Fault, int | None]]:
    return [(finding.fault, finding.row) for finding in history.verify(*keys).findings]


def test_what_was_written_is_sealed_within_minutes_and_sound(history: History, few_a_seal: None) -> None:
    history.write(7)
    history.seal()
    history.write(2, words="grüße 🦆 \x1b[0m")
    history.seal()

    verification = history.verify()

    assert verification.is_sound
    assert (verification.rows, verification.seals, verification.unsealed) == (9, 4, 0)


def test_a_backlog_is_worked_off_in_seals_of_a_bounded_size(history: History, few_a_seal: None) -> None:
    history.write(10)
    dispatcher = Sealing()
    sealed = []
    for _ in range(5):
        history.tick(dispatcher)
        sealed.append(history.verify().rows)
        history.clock.advance(SETTLED_AFTER)

    assert sealed == ([3, 6, 9, 10, 10] if history.engine.dialect.name == "sqlite" else [0, 3, 6, 9, 10])


def test_rows_that_are_not_sealed_yet_are_counted_with_the_time_of_the_first(history: History) -> None:
    history.write(3)
    history.seal()
    history.clock.advance(timedelta(hours=1))
    since = history.clock.now()
    history.write(2)
    history.clock.advance(timedelta(hours=1))
    history.write(1)

    verification = history.verify()

    assert verification.is_sound
    assert (verification.rows, verification.unsealed, verification.unsealed_since) == (3, 3, since)


def test_nothing_is_written_while_there_is_nothing_to_seal(history: History) -> None:
    history.seal()

    assert (history.verify().seals, history.verify().unsealed, history.verify().is_sound) == (0, 0, True)


TAMPERED = {
    "at": "'2026-03-03 12:00:00.000001'",
    "actor": "'analyst:mara'",
    "action": "'Handled'",
    "alert_hash": "NULL",
    "person_id": "'u1'",
    "detail": "'{\"number\": 0}'",
}


@pytest.mark.parametrize("column", TAMPERED)
def test_a_change_of_any_column_is_found(history: History, few_a_seal: None, column: str) -> None:
    history.write(7)
    history.seal()

    history.tamper(f"UPDATE history SET {column} = {TAMPERED[column]} WHERE id = 3")

    assert found(history) == [(Fault.CHANGED, 3)]


def test_values_that_no_program_of_ours_would_write_are_found_too(history: History) -> None:
    history.write(3)
    history.seal()
    is_sqlite = history.engine.dialect.name == "sqlite"
    prepare = "SELECT 1" if is_sqlite else "SET sql_mode = ''"
    with history.engine.begin() as connection:
        connection.exec_driver_sql(prepare)
        connection.exec_driver_sql("UPDATE history SET at = '0000-00-00 00:00:00', detail = 'no JSON' WHERE id = 1")
        connection.exec_driver_sql("UPDATE history SET alert_hash = 'short' WHERE id = 2")
        connection.exec_driver_sql("UPDATE history_seals SET sealed_at = '0000-00-00 00:00:00', hash = 'x'")
        connection.exec_driver_sql("SELECT 1" if is_sqlite else "SET sql_mode = DEFAULT")

    assert [fault for fault, _ in found(history)] == [Fault.SEAL_CHANGED]


def test_a_removed_row_is_found_wherever_it_was(history: History, few_a_seal: None) -> None:
    history.write(7)
    history.seal()

    for row in (1, 4, 7):
        history.tamper(f"DELETE FROM history WHERE id = {row}")

    assert found(history) == [(Fault.REMOVED, 1), (Fault.REMOVED, 4), (Fault.REMOVED, 7)]


@pytest.mark.parametrize("row", [-5, 0, 4])
def test_a_row_put_in_where_everything_is_sealed_is_found(history: History, few_a_seal: None, row: int) -> None:
    with history.engine.begin() as connection:
        connection.execute(_row(3))
        connection.execute(_row(5))
    history.seal()
    assert history.verify().is_sound

    with history.engine.begin() as connection:
        connection.exec_driver_sql(
            "SELECT 1" if history.engine.dialect.name == "sqlite" else "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"
        )
        connection.execute(_row(row))

    assert found(history) == [(Fault.INSERTED, row)]


def test_a_row_that_somebody_appends_is_sealed_like_any_other_and_shows_who_it_says_wrote_it(history: History) -> None:
    """The chain keeps what was written; who may write is for the database's grants."""
    history.write(1)
    history.seal()
    history.write(1)
    history.seal()

    assert (history.verify().rows, history.verify().is_sound) == (2, True)


def test_thousands_of_findings_are_counted_and_the_first_are_shown(history: History) -> None:
    history.write(600)
    history.seal()
    history.tamper("DELETE FROM history")

    verification = history.verify()

    assert verification.faults == {Fault.REMOVED: 600}
    assert len(verification.findings) == 100


def test_a_seal_that_is_gone_or_changed_is_found(history: History, few_a_seal: None) -> None:
    history.write(12)
    history.seal(times=6)
    assert history.verify().seals == 4

    history.tamper("UPDATE history_seals SET through_id = 10 WHERE number = 3")
    assert {fault for fault, _ in found(history)} == {Fault.SEAL_CHANGED}
    history.tamper("DELETE FROM history_seals WHERE number = 3")
    assert {fault for fault, _ in found(history)} == {Fault.SEAL_MISSING}


def test_the_end_of_the_chain_cut_off_is_found_by_a_seal_that_was_kept_elsewhere(
    history: History, few_a_seal: None
) -> None:
    history.write(7)
    history.seal()
    last = history.verify().last
    assert last is not None
    kept = {last.number: last.hash}
    assert history.verify(kept=kept).is_sound

    history.tamper("DELETE FROM history_seals WHERE number = 3")
    history.tamper("DELETE FROM history WHERE id = 7")

    assert history.verify().is_sound
    assert history.verify(kept=kept).faults == {Fault.SEAL_MISSING: 1}
    history.write(2)
    history.seal()
    assert history.verify(kept=kept).faults == {Fault.SEAL_CHANGED: 1}


def test_whoever_seals_a_changed_history_anew_is_found_out_by_the_key(history: History) -> None:
    history.write(3)
    history.seal(KEY)
    assert history.verify(KEY).is_sound

    history.tamper("DELETE FROM history_seals")
    history.tamper("UPDATE history SET actor = 'person:U2' WHERE id = 2")
    history.seal()

    assert history.verify().is_sound
    assert history.verify(KEY).faults == {Fault.SEAL_UNPROVED: 1}
    history.write(1)
    history.seal(KEY)
    assert history.verify(KEY).faults == {Fault.SEAL_UNPROVED: 1}, "the key's next seal makes the forged ones no better"


def test_a_key_may_be_set_later_and_the_first_seal_with_it_vouches_for_those_before(history: History) -> None:
    history.write(1)
    history.seal()
    history.write(1)
    with capture_logs() as logs:
        history.seal(KEY)
    (adopted,) = [entry for entry in logs if entry["event"] == "history_key_adopted"]
    history.write(1)
    history.seal(KEY)

    verification = history.verify(KEY, kept={adopted["seal"]: adopted["hash"]})

    assert verification.is_sound
    assert verification.key_since is not None
    assert (verification.key_since.number, verification.seals) == (2, 3)
    assert history.verify(KEY).faults == {Fault.SEAL_UNPROVED: 1}


def test_a_key_may_be_changed(history: History) -> None:
    history.write(1)
    history.seal(KEY)
    history.write(1)
    history.seal(NEW_KEY, KEY)

    assert history.verify(NEW_KEY, KEY).is_sound
    assert history.verify(NEW_KEY).faults == {Fault.SEAL_UNPROVED: 1}


@pytest.mark.parametrize("keys", [(), (NEW_KEY,)])
def test_a_dispatcher_without_the_chains_key_seals_nothing_and_says_so(
    history: History, keys: tuple[SealKey, ...]
) -> None:
    history.write(1)
    history.seal(KEY)
    history.write(1)

    with capture_logs() as logs:
        history.seal(*keys)

    assert {entry["event"] for entry in logs if entry["log_level"] == "error"} == {"history_not_sealed"}
    assert (history.verify(KEY).is_sound, history.verify(KEY).unsealed) == (True, 1)


@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_one_thing_done_to_a_sealed_history_is_found(tmp_path_factory: Any, data: st.DataObject) -> None:
    engine = create_database(f"sqlite:///{tmp_path_factory.mktemp('record')}/record.db")
    create_or_migrate(engine)
    history = History(engine)
    for rows in data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=5)):
        history.write(rows)
        if data.draw(st.booleans()):
            history.seal(times=2)
    history.write(1)
    history.seal(times=2)
    assert history.verify().is_sound
    rows = history.verify().rows

    row = data.draw(st.integers(1, rows))
    deed = data.draw(st.sampled_from(["change", "remove", "move"]))
    if deed == "change":
        column = data.draw(st.sampled_from(sorted(TAMPERED)))
        history.tamper(f"UPDATE history SET {column} = {TAMPERED[column]} WHERE id = :id", id=row)
    elif deed == "remove":
        history.tamper("DELETE FROM history WHERE id = :id", id=row)
    else:
        history.tamper("UPDATE history SET id = -id WHERE id = :id", id=row)
    expected = {"change": {(Fault.CHANGED, row)}, "remove": {(Fault.REMOVED, row)}}
    assert set(found(history)) == expected.get(deed, {(Fault.REMOVED, row), (Fault.INSERTED, -row)})
    engine.dispose()


# --- several at once ------------------------------------------------------------------------------------------------


def test_a_transaction_that_stalls_with_a_smaller_id_is_waited_for(on_mariadb: History) -> None:
    on_mariadb.write(2)
    with on_mariadb.engine.connect() as stalled:
        stalled.execute(_row())
        on_mariadb.write(3)
        with capture_logs() as logs:
            on_mariadb.seal(times=20)
        meanwhile = on_mariadb.verify()
        stalled.commit()
    on_mariadb.seal()

    assert (meanwhile.is_sound, meanwhile.rows, meanwhile.unsealed) == (True, 2, 3)
    assert "history_sealing_waits" in [entry["event"] for entry in logs]
    assert (on_mariadb.verify().is_sound, on_mariadb.verify().rows) == (True, 6)


def test_the_ids_of_a_transaction_that_was_rolled_back_stay_empty(on_mariadb: History) -> None:
    with on_mariadb.engine.connect() as stalled:
        stalled.execute(_row())
        on_mariadb.write(3)
        on_mariadb.seal()
        assert on_mariadb.verify().rows == 0
        stalled.rollback()
    on_mariadb.seal()

    assert (on_mariadb.verify().is_sound, on_mariadb.verify().rows) == (True, 3)
    with on_mariadb.engine.begin() as connection:
        connection.execute(_row(1))
    assert found(on_mariadb) == [(Fault.INSERTED, 1)]


def test_an_id_that_was_out_only_seconds_ago_is_not_sealed(on_mariadb: History) -> None:
    """Its INSERT may have the id and not have put the row there yet."""
    on_mariadb.write(1)
    dispatcher = Sealing()
    on_mariadb.tick(dispatcher)
    on_mariadb.clock.advance(SETTLED_AFTER - timedelta(seconds=1))
    on_mariadb.write(1)
    on_mariadb.tick(dispatcher)
    assert on_mariadb.verify().rows == 0

    on_mariadb.clock.advance(timedelta(seconds=5))
    on_mariadb.tick(dispatcher)

    assert on_mariadb.verify().rows == 1


def test_the_sealer_leaves_its_connections_as_they_were(on_mariadb: History) -> None:
    on_mariadb.write(3)
    on_mariadb.seal()

    def isolation(connection: Any) -> str:
        return str(connection.exec_driver_sql("SELECT @@tx_isolation").scalar())

    assert {on_mariadb.read(isolation) for _ in range(5)} == {"READ-COMMITTED"}


def test_three_dispatchers_seal_what_four_writers_write_and_nothing_is_blamed(on_mariadb: History) -> None:
    with running(*[lambda number: write_somehow(on_mariadb, number)] * 4, *(dispatcher(on_mariadb) for _ in range(3))):
        for _ in range(48):
            time.sleep(0.1)
            on_mariadb.clock.advance(SETTLED_AFTER / 4)
        during = on_mariadb.verify()
    on_mariadb.seal(times=20)

    after = on_mariadb.verify()
    written = on_mariadb.read(lambda connection: connection.scalar(select(func.count()).select_from(HistoryRow)))
    highest = on_mariadb.read(lambda connection: connection.scalar(select(func.max(HistoryRow.id))))
    assert (during.findings, after.findings) == ([], [])
    assert 0 < during.rows <= after.rows == written < highest
    assert after.unsealed == 0
    assert after.seals == on_mariadb.read(lambda c: c.scalar(select(func.max(HistorySealRow.number))))


@contextmanager
def running(*actions: Callable[[int], None]) -> Iterator[None]:
    """Do each again and again on a thread of its own; none may fail."""
    over = threading.Event()
    failures: list[Exception] = []

    def again(action: Callable[[int], None]) -> None:
        for number in itertools.count(1):
            if over.is_set():
                return
            try:
                action(number)
            except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
                failures.append(error)
                return

    threads = [threading.Thread(target=again, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()
    assert failures == []


def write_somehow(history: History, number: int) -> None:
    """Several statements a transaction; some are rolled back, some stall for longer than the clock takes to go on."""
    with history.engine.connect() as connection:
        connection.execute(insert(HistoryRow), [_values(number) for _ in range(number % 7 + 1)])
        time.sleep(0.5 if number % 21 == 0 else 0)
        connection.execute(_row())
        if number % 4 == 0:
            connection.rollback()
        else:
            connection.commit()


def dispatcher(history: History) -> Callable[[int], None]:
    sealing = Sealing()

    def tick(_: int) -> None:
        history.tick(sealing)
        time.sleep(0.01)

    return tick


def _values(number: int = 0) -> dict[str, Any]:
    return {"at": History.START, "actor": "test", "action": "handled", "detail": {"number": number}}


def _row(number: int | None = None) -> Any:
    return insert(HistoryRow).values(_values() | ({} if number is None else {"id": number}))
