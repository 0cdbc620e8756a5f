"""The console on a large record: `python -m bench.console --alerts 1000000`.

A private MariaDB with a seeded record, the console as a process of its own. Measured: how long each page takes (by
HTTP on loopback, 25 times each, after a warm-up), exports, memory; shown: how MariaDB reaches the rows of the lists.
`--keep FOLDER` keeps the seeded data there for the next run.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.dialects import mysql

from bench.console_seed import seed
from common.bus.embedded import KombuBus
from common.clock import SystemClock
from common.records.analysts import add_analyst
from common.records.database import create_database
from common.records.migrate import migrate
from common.records.tables import AlertRow
from common.topology import TOPOLOGY
from common.transactions import Transactions
from services.console.finding import LISTED, filtered, order
from services.console.rollup import count_more
from services.console.searches import AlertSearch
from services.console.teams import Teams
from services.console.word_index import index_more
from tests.servers import MariaServer, RabbitServer, free_port
from tests.waiting import eventually

TIMES = 25
PASSWORD = "a measured password"
MEMORY = 1024**3
"""Of the database: small for a million alerts, and not the tests' 64 MB."""
PAGES = {
    "inbox": "/inbox",
    "inbox, one resolution": "/inbox?resolution=no_response",
    "alerts": "/alerts",
    "alerts, oldest": "/alerts?sort=oldest",
    "alerts, by title": "/alerts?sort=title",
    "alerts, by owner": "/alerts?sort=owner",
    "status": "/alerts?status=verifying",
    "resolution": "/alerts?resolution=proof_fraud",
    "severity": "/alerts?severity=critical",
    "source": "/alerts?source=cloudtrail",
    "title": "/alerts?titles=detection+rule+007",
    "owner": "/alerts?owner=ada.berg",
    "person": "/alerts?owner=U00007",
    "time range": "/alerts?after=2026-06-01&before=2026-06-02",
    "severity and resolution": "/alerts?severity=critical&resolution=proof_fraud",
    "source, status, severity": "/alerts?source=tool-3&status=verifying&severity=low",
    "rare combination": "/alerts?source=tool-5&severity=high&resolution=proof_fraud&performed=no",
    "title and time": "/alerts?titles=MFA+method+added&before=2026-03-01",
    "not proved, oldest": "/alerts?authenticated=no&sort=oldest",
    "text, common": "/alerts?text=sudo",
    "text, two words": "/alerts?text=vault-1+rename",
    "text, rare": "/alerts?text=000a",
    "text, nothing": "/alerts?text=zebra",
    "text and filter": "/alerts?text=berg&resolution=denied",
    "text, rare together": "/alerts?text=tool+pia.pike+rule",
    "people": "/people?text=ad",
    "person's page": "/people/U00003",
    "quarantine": "/quarantine",
    "insight, 30 days": "/insight?days=30",
    "insight, 90 days": "/insight?days=90",
    "system": "/system",
    "API alerts": "/api/v1/alerts?limit=50",
}
SEARCHES = {
    "newest": AlertSearch(),
    "oldest": AlertSearch(sort="oldest"),
    "by title": AlertSearch(sort="title"),
    "by owner": AlertSearch(sort="owner"),
    "status": AlertSearch(status=("verifying",)),
    "resolution": AlertSearch(resolution=("proof_fraud",)),
    "severity": AlertSearch(severity=("critical",)),
    "source": AlertSearch(source="cloudtrail"),
    "title": AlertSearch(titles=("detection rule 007",)),
    "not proved, oldest": AlertSearch(authenticated=False, sort="oldest"),
    "severity and resolution": AlertSearch(severity=("critical",), resolution=("proof_fraud",)),
    "source, status, severity": AlertSearch(source="tool-3", status=("verifying",), severity=("low",)),
}
console = Console(width=120)


def main() -> None:
    """Seed, start, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alerts", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only-seed", action="store_true")
    given = parser.parse_args()
    maria = MariaServer()
    kept = given.keep / "data" if given.keep else None
    if kept is not None and kept.exists():
        shutil.rmtree(maria.folder / "data", ignore_errors=True)
        (maria.folder / "data").symlink_to(kept)
    try:
        maria.start()
        engine = _prepared(maria, given.alerts)
        if kept is not None and not kept.exists():
            maria.stop()
            given.keep.mkdir(parents=True, exist_ok=True)
            shutil.move(maria.folder / "data", kept)
            (maria.folder / "data").symlink_to(kept)
            maria.start()
            _enlarge(maria)
        if not given.only_seed:
            _measure(maria, engine)
    finally:
        maria.stop()
        maria.remove()


def _enlarge(maria: MariaServer) -> None:
    server = create_engine(maria.url)
    with server.begin() as connection:
        connection.execute(text(f"SET GLOBAL innodb_buffer_pool_size = {MEMORY}"))
        connection.execute(text(f"SET GLOBAL innodb_log_file_size = {MEMORY // 2}"))
        connection.execute(text("CREATE DATABASE IF NOT EXISTS bench CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"))
    server.dispose()


def _prepared(maria: MariaServer, alerts: int) -> Engine:
    _enlarge(maria)
    engine = create_database(f"{maria.url}/bench")
    migrate(engine)
    with engine.connect() as connection:
        there = connection.scalar(select(func.count()).select_from(AlertRow)) or 0
    if there < alerts:
        began = time.monotonic()
        seed(engine, alerts, 365, random.Random(7))
        console.print(f"seeded {alerts:,} alerts in {time.monotonic() - began:.0f} s")
    _catch_up(engine, alerts)
    with engine.begin() as connection:
        connection.execute(text("ANALYZE TABLE alerts, alert_words, rollups"))
    return engine


def _catch_up(engine: Engine, alerts: int) -> None:
    """Run the clerk until it has nothing left."""
    bus = KombuBus("memory://")
    bus.declare(TOPOLOGY)
    transactions = Transactions(engine, bus, SystemClock(), "console")
    teams = Teams()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, disable=not sys.stderr.isatty()) as bar:
        for name, job in (("words", index_more), ("counts", lambda work: count_more(work, teams.of))):
            task, began, done = bar.add_task(name, total=alerts), time.monotonic(), 0
            while number := transactions.run(job):
                done += number
                bar.update(task, advance=number)
            seconds = time.monotonic() - began
            console.print(f"{name}: {done:,} alerts in {seconds:.0f} s ({done / max(seconds, 0.001):,.0f} a second)")
    bus.close()


def _measure(maria: MariaServer, engine: Engine) -> None:
    _plans(engine)
    rabbit = RabbitServer()
    rabbit.start()
    port = free_port()
    environment = os.environ | {
        "SECURITYBOT_AMQP_URL": rabbit.url, "SECURITYBOT_DATABASE_URL": f"{maria.url}/bench",
        "SECURITYBOT_HTTP_PORT": str(port), "SECURITYBOT_LOG_FORMAT": "json",
    }  # fmt: skip
    process = psutil.Popen(
        [str(Path(sys.executable).with_name("securitybot")), "run", "console"],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        client = _signed_in(engine, f"http://127.0.0.1:{port}")
        _pages(client, process)
        _exports(client, process)
    finally:
        process.terminate()
        process.wait(15)
        rabbit.remove()


def _signed_in(engine: Engine, url: str) -> httpx.Client:
    bus = KombuBus("memory://")
    transactions = Transactions(engine, bus, SystemClock(), "bench")
    transactions.run(lambda work: add_analyst(work, "bench", "admin", PASSWORD, "bench"))
    from common.api_tokens import Scope, create  # noqa: PLC0415

    token = transactions.run(lambda work: create(work, f"bench-{time.time_ns()}", Scope.READ, "bench"))
    client = httpx.Client(base_url=url, timeout=60)
    eventually(lambda: _ready(client), 30)
    page = client.get("/sign-in").text
    csrf = page.split('name="csrf" value="')[1].split('"')[0]
    answer = client.post("/sign-in", data={"csrf": csrf, "name": "bench", "password": PASSWORD, "next": "/inbox"})
    assert answer.status_code == 303, answer.text
    client.headers["authorization"] = f"Bearer {token}"
    return client


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def _pages(client: httpx.Client, process: psutil.Process) -> None:
    table = Table(title=f"pages, {TIMES} times each, ms")
    for heading in ("page", "p50", "p95", "most", "kB"):
        table.add_column(heading, justify="left" if heading == "page" else "right")
    for name, path in PAGES.items():
        client.get(path).raise_for_status()
        times, size = [], 0
        for _ in range(TIMES):
            began = time.perf_counter()
            answer = client.get(path)
            times.append(1000 * (time.perf_counter() - began))
            answer.raise_for_status()
            size = len(answer.content)
        p95 = statistics.quantiles(times, n=20)[18]
        style = "red" if p95 > (500 if name.startswith("insight") else 150) else ""
        table.add_row(
            name,
            f"{statistics.median(times):.0f}",
            f"{p95:.0f}",
            f"{max(times):.0f}",
            f"{size / 1000:.0f}",
            style=style,
        )
    console.print(table)
    console.print(f"memory of the console after all pages: {process.memory_info().rss / 1e6:.0f} MB")


def _exports(client: httpx.Client, process: psutil.Process) -> None:
    for kind in ("csv", "json"):
        began, lines, most = time.perf_counter(), 0, 0
        with client.stream("GET", f"/alerts/export.{kind}") as answer:
            for number, piece in enumerate(answer.iter_bytes(1 << 16)):
                lines += piece.count(b"\n")
                if number % 200 == 0:
                    most = max(most, process.memory_info().rss)
        seconds = time.perf_counter() - began
        console.print(
            f"export {kind}: {lines:,} lines in {seconds:.1f} s = {lines / seconds:,.0f} rows/s; "
            f"memory at most {most / 1e6:.0f} MB"
        )


def _plans(engine: Engine) -> None:
    table = Table(title="how MariaDB reaches the rows of the lists")
    for heading in ("search", "index", "type", "rows examined", "extra"):
        table.add_column(heading)
    with engine.connect() as connection:
        for name, search in SEARCHES.items():
            query = filtered(search, LISTED).order_by(*order(search.sort)).limit(51)
            sql = str(query.compile(dialect=mysql.dialect(), compile_kwargs={"literal_binds": True})).replace("%%", "%")
            row: Any = connection.exec_driver_sql(f"EXPLAIN {sql}").mappings().one()
            table.add_row(name, str(row["key"]), row["type"], f"{int(row['rows'] or 0):,}", row["Extra"] or "")
    console.print(table)


if __name__ == "__main__":
    main()
