"""Fills a record with alerts as a year of a company would leave them: for the console's measurements and pictures.

python -m bench.console_seed sqlite:///seeded.db --alerts 5000
python -m bench.console_seed mysql+pymysql://root@127.0.0.1:3306/securitybot --alerts 1000000
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import Engine, insert, text

from common.records.database import create_database
from common.records.migrate import migrate
from common.records.tables import AlertRow, BlacklistRow, HistoryRow, IgnoredRow, PersonRow, QuarantineRow

BATCH = 5000
PEOPLE = 1000
FIRST = ("ada", "bo", "carol", "dan", "eve", "finn", "gita", "hugo", "ines", "jun", "kai", "lena", "mara", "nils",
         "ola", "pia", "quin", "rosa", "sven", "tara", "uma", "vito", "wren", "xeni", "yara", "zoe")  # fmt: skip
LAST = ("berg", "cruz", "dahl", "engel", "fox", "gupta", "hale", "ito", "jong", "khan", "lind", "mori", "novak",
        "okoye", "pike", "rossi", "stone", "tran", "usman", "vance")  # fmt: skip
TITLES = (
    ("sudo on a production host", "osquery", "medium", 0.93),
    ("log-in from a new country", "okta", "high", 0.78),
    ("1 GB downloaded in an hour", "gdrive", "high", 0.84),
    ("new SSH key on a bastion", "osquery", "high", 0.9),
    ("MFA method added", "okta", "medium", 0.96),
    ("disabled endpoint protection", "edr", "critical", 0.6),
    ("root log-in on AWS console", "cloudtrail", "critical", 0.7),
    ("package installed outside of the list", "osquery", "low", 0.985),
    ("VPN from two places at once", "vpn", "high", 0.55),
    ("mass file rename", "edr", "critical", 0.8),
    ("public S3 bucket created", "cloudtrail", "high", 0.75),
    ("password reset by help desk", "okta", "medium", 0.95),
)
RARE = tuple((f"detection rule {n:03}", f"tool-{n % 7}", ("low", "medium", "high")[n % 3], 0.85) for n in range(188))
WHERE = (
    "db-7",
    "web-12",
    "bastion-1",
    "ci-3",
    "mail-2",
    "10.0.4.17",
    "laptop-2231",
    "s3://backups",
    "eu-west-1",
    "vault-1",
)
NOT_CONFIRMED = (
    ("no_response", "verifying", 30), ("confirmed_unproved", "verifying", 18), ("denied", "verifying", 8),
    ("not_sure", "verifying", 8), ("proof_timeout", "verifying", 6), ("wrong_person", "verifying", 4),
    ("proof_denied", "verifying", 2), ("unknown_owner", "verifying", 5), ("unreachable", "verifying", 4),
    ("ignored", "closed", 12), ("blacklisted", "closed", 2), ("proof_fraud", "verifying", 1),
)  # fmt: skip
SAID = {
    "confirmed": (
        "rolling out the patch",
        "was me, on call",
        "travelling this week",
        "",
        "",
        "quarterly backup",
        "yes",
    ),
    "denied": ("I was asleep at that time", "never seen that host", "not me!"),
    "not_sure": ("could be the backup script?",),
}
DID_IT = {"confirmed": True, "confirmed_unproved": True, "denied": False}
STILL_WAITING = 0.02
"""Share of the older verdicts that the team has not closed yet."""


def main() -> None:
    """Seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--alerts", type=int, default=5000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    engine = create_database(given.url)
    migrate(engine)
    seed(engine, given.alerts, given.days, random.Random(given.seed))
    engine.dispose()


def seed(engine: Engine, alerts: int, days: int, chance: random.Random, now: datetime | None = None) -> None:
    """Add `alerts` alerts received within the last `days` days, with their people and history."""
    now = now or datetime.now(UTC)
    people = _people(chance, now)
    with engine.begin() as connection:
        connection.execute(insert(PersonRow), people)
        connection.execute(insert(BlacklistRow), _blacklist(people, now))
        connection.execute(insert(IgnoredRow), _ignored(people, now))
        connection.execute(insert(QuarantineRow), _quarantine(now))
    columns = (TextColumn("alerts"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("seed", total=alerts)
        for first in range(0, alerts, BATCH):
            rows = list(_alerts(range(first, min(alerts, first + BATCH)), (alerts, days, now), people, chance))
            with engine.begin() as connection:
                if engine.dialect.name != "sqlite":
                    connection.execute(text("SET unique_checks = 0"))
                connection.execute(insert(AlertRow), rows)
                connection.execute(insert(HistoryRow), [entry for row in rows for entry in _history(row)])
            bar.update(task, advance=len(rows))


def _people(chance: random.Random, now: datetime) -> list[dict[str, Any]]:
    found = []
    for number in range(PEOPLE):
        first, last = FIRST[number % len(FIRST)], LAST[number // len(FIRST) % len(LAST)]
        name = f"{first}.{last}" + (str(number // 520) if number >= 520 else "")
        found.append({
            "chat_id": f"U{number:05}", "username": name, "email": f"{name}@example.com", "display_name":
            f"{first.title()} {last.title()}", "time_zone": chance.choice(("Europe/Berlin", "America/New_York")),
            "locale": None, "active": number % 40 != 39, "updated_at": now,
        })  # fmt: skip
    return found


def _alerts(
    numbers: range, size: tuple[int, int, datetime], people: list[dict[str, Any]], chance: random.Random
) -> Iterator[dict[str, Any]]:
    total, days, now = size
    for number in numbers:
        common = chance.random() < 0.85
        title, source, severity, confirmed = chance.choice(TITLES if common else RARE)
        received = now - timedelta(days=days) * (1 - (number + chance.random()) / total)
        person = people[min(PEOPLE - 1, int(chance.expovariate(1 / 250)))]
        where = chance.choice(WHERE)
        yield {
            "hash": hashlib.sha256(f"{total}/{number}".encode()).hexdigest(),
            "owner": person["username"], "title": title,
            "description": f"{person['username']} on {where}: {title}, session {chance.randrange(16**6):06x}",
            "reason": f"TTY=pts/{number % 9} ; USER=root ; COMMAND=/bin/bash -c 'job {number}'",
            "url": f"https://siem.example.com/event/{number}", "severity": severity, "source": source,
            "context": {"host": where, "rule": number % 200}, "event_time": received - timedelta(seconds=4),
            "received_at": received, "last_seen_at": received, "occurrences": 1 + (number % 37 == 0) * 3,
            "person_id": person["chat_id"], "matched_by": "username", "question_id": None, "escalate_at": None,
            **_verdict(received, now, confirmed, chance),
        }  # fmt: skip


def _verdict(received: datetime, now: datetime, confirmed: float, chance: random.Random) -> dict[str, Any]:
    asked = received + timedelta(seconds=1)
    after = timedelta(seconds=min(7200.0, chance.lognormvariate(4.6, 1.1)))
    resolution, status = "confirmed", "closed"
    if chance.random() > confirmed:
        kinds = [(name, wanted) for name, wanted, _ in NOT_CONFIRMED]
        resolution, status = chance.choices(kinds, [weight for _, _, weight in NOT_CONFIRMED])[0]
    if resolution == "no_response":
        after = timedelta(hours=2)
    resolved = min(asked + after, now - timedelta(seconds=1))
    old = resolved < now - timedelta(days=2) and chance.random() > STILL_WAITING
    answered = resolution in ("confirmed", "confirmed_unproved", "denied", "not_sure", "wrong_person", "proof_denied")
    closed = resolved if status == "closed" else resolved + timedelta(hours=5)
    done = status == "closed" or old
    return {
        "status": "closed" if done else "verifying", "asked_at": asked, "resolved_at": resolved,
        "responded_at": resolved if answered else None, "closed_at": closed if done else None,
        "resolution": resolution, "performed": DID_IT.get(resolution),
        "authenticated": True if resolution == "confirmed" else None,
        "comment": chance.choice(SAID.get(resolution, ("",))),
    }  # fmt: skip


def _history(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    person, digest = row["person_id"], row["hash"]
    yield {"at": row["received_at"], "actor": "ingest", "action": "received", "alert_hash": digest, "person_id": None,
           "detail": {"source": row["source"]}}  # fmt: skip
    yield {"at": row["asked_at"], "actor": "dispatcher", "action": "asked", "alert_hash": digest, "person_id": person,
           "detail": {"alerts": 1}}  # fmt: skip
    actor = f"person:{person}" if row["responded_at"] else "dispatcher"
    yield {"at": row["resolved_at"], "actor": actor, "action": "resolved", "alert_hash": digest, "person_id": person,
           "detail": {"resolution": row["resolution"], "comment": row["comment"]}}  # fmt: skip


def _blacklist(people: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    return [
        {"person_id": people[3]["chat_id"], "added_by": f"person:{people[3]['chat_id']}", "reason": "stop",
         "created_at": now - timedelta(days=2), "until": now + timedelta(days=28)},
        {"person_id": people[8]["chat_id"], "added_by": "analyst:mara", "reason": "on parental leave",
         "created_at": now - timedelta(days=9), "until": now + timedelta(days=80)},
    ]  # fmt: skip


def _ignored(people: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    return [
        {"person_id": people[n]["chat_id"], "title": TITLES[n % 4][0], "added_by": "dispatcher",
         "reason": "back-off after a proved answer",
         "created_at": now - timedelta(hours=3), "until": now + timedelta(hours=18)} for n in range(5, 9)
    ]  # fmt: skip


def _quarantine(now: datetime) -> list[dict[str, Any]]:
    shared = {
        "received_at": now - timedelta(minutes=12), "queue": "securitybot.ingest", "exchange": "securitybot.alerts",
        "routing_key": "alert.osquery", "type": None, "correlation_id": None, "headers": {}, "state": "waiting",
    }  # fmt: skip
    return [
        shared | {"message_id": "01-a", "body": b'{"title": "sudo on db-7", "description": "sudo -i at 12:01"}',
                  "reason": "owner: missing; must be a string of 1 to 255 characters"},
        shared | {"message_id": "01-b", "body": b'{"owner": "ada.berg", "title": "sudo", "severity": "urgent"}',
                  "reason": "severity: must be one of low, medium, high, critical"},
    ]  # fmt: skip


if __name__ == "__main__":
    main()
