"""Whether anything was lost, repeated or believed without proof: computed from what the outside world saw.

Shares no code with the product. It reads what was published, what the fake Slack and the fake Duo were asked to do,
what came out of `securitybot.outcomes`, and the record with plain SQL; then it counts what must not be.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.fakes.slack.workspace import BOT
from tests.stack import Stack

Alert = Mapping[str, Any]
UNPROVED = {"is silent", "denies", "is unsure", "takes no push", "refuses", "cries fraud"}
"""Habits that can never end in `confirmed`."""


@dataclass(slots=True)
class Findings:
    """What was counted. `problems` is empty when everything held."""

    alerts: int = 0
    lost: int = 0
    unresolved: int = 0
    resolved_twice: int = 0
    outcomes_missing: int = 0
    outcomes_twice: int = 0
    miscounted: int = 0
    """Alerts whose number of occurrences is not the number of times that they were published."""
    questions_twice: int = 0
    prompts_twice: int = 0
    out_of_order: int = 0
    pushes: int = 0
    pushes_twice: int = 0
    pushes_unnoted: int = 0
    """Started at Duo by a process that died before it could note the transaction: allowed, counted, reported."""
    believed_without_proof: int = 0
    silenced_without_proof: int = 0
    quarantined: int = 0
    left_over: int = 0
    """Messages in outbox and queues, deliveries and requests that nobody finished."""
    problems: list[str] = field(default_factory=list)

    def require(self, name: str, details: Iterable[object]) -> None:
        """Set the figure `name` to the number of `details`, each of which is a problem."""
        found = list(details)
        setattr(self, name, len(found))
        if found:
            self.problems.append(f"{name}: {len(found)}, such as {found[:3]}")


class Checker:
    """Reads everything once."""

    def __init__(
        self,
        stack: Stack,
        published: Iterable[Alert],
        outcomes: Mapping[str, list[dict[str, Any]]],
        habits: Mapping[str, str] | None = None,
        *,
        uncounted: Collection[str] = (),
        quarantined: int = 0,
    ) -> None:
        """Take what is to be compared.

        Args:
            stack: where the record and the fakes are.
            published: each alert as often as it was published.
            outcomes: what was heard on `securitybot.outcomes`, each event once.
            habits: person → habit.
            uncounted: alerts whose publisher could not know whether an earlier try had arrived.
            quarantined: how many messages have to be in the quarantine.
        """
        self._stack = stack
        self._times = Counter(str(alert["hash"]) for alert in published)
        self._outcomes = outcomes
        self._habits = habits or {}
        self._uncounted = uncounted
        self._quarantined = quarantined

    def check(self) -> Findings:
        """Return what was found."""
        found = Findings(alerts=len(self._times))
        rows = {row["hash"].hex(): row for row in self._stack.rows("SELECT * FROM alerts")}
        mine = {digest: rows[digest] for digest in self._times if digest in rows}
        found.require("lost", (digest for digest in self._times if digest not in rows))
        found.require("unresolved", (digest for digest, row in mine.items() if row["resolution"] is None))
        found.require(
            "miscounted",
            (d for d, row in mine.items() if row["occurrences"] != self._times[d] and d not in self._uncounted),
        )
        self._check_history(found)
        self._check_outcomes(found, mine)
        self._check_chat(found)
        self._check_pushes(found)
        self._check_proof(found, mine)
        self._check_leftovers(found)
        return found

    def _check_history(self, found: Findings) -> None:
        resolved: Counter[str] = Counter()
        asked: Counter[str] = Counter()
        for row in self._stack.rows("SELECT alert_hash, action, detail FROM history WHERE alert_hash IS NOT NULL"):
            if row["action"] == "resolved":
                resolved[row["alert_hash"].hex()] += 1
            elif row["action"] == "asked":
                asked[str(json.loads(row["detail"])["question"])] += 1
        found.require("resolved_twice", (d for d, times in resolved.items() if times > 1 and d in self._times))
        found.require("questions_twice", (question for question, times in asked.items() if times > 1))

    def _check_outcomes(self, found: Findings, mine: Mapping[str, Mapping[str, Any]]) -> None:
        heard = {digest: self._outcomes.get(digest, []) for digest in self._times}
        found.require("outcomes_missing", (digest for digest, events in heard.items() if not events))
        found.require("outcomes_twice", (digest for digest, events in heard.items() if len(events) > 1))
        other = [
            digest
            for digest, events in heard.items()
            if events and digest in mine and events[0]["data"]["resolution"] != mine[digest]["resolution"]
        ]
        if other:
            found.problems.append(f"outcomes that differ from the record: {other[:3]}")

    def _check_chat(self, found: Findings) -> None:
        places = {
            row["message_id"]: row["sequence"]
            for row in self._stack.rows("SELECT message_id, sequence FROM chat_deliveries WHERE kind = 'send'")
        }
        twice: list[str] = []
        disorder: list[str] = []
        with self._stack.slack.workspace.lock:
            channels = list(self._stack.slack.workspace.channels.values())
            posts = [(c, [m for m in c.messages if m.get("bot_id") == BOT]) for c in channels]
        for channel, messages in posts:
            ids = [str(message["metadata"]["event_payload"]["message_id"]) for message in messages]
            twice += [name for name, times in Counter(ids).items() if times > 1]
            if channel.user is not None:
                order = [places[name] for name in ids if name in places]
                disorder += [f"{channel.user}: {a} before {b}" for a, b in pairwise(order) if a > b]
        found.require("prompts_twice", twice)
        found.out_of_order = len(disorder)

    def _check_pushes(self, found: Findings) -> None:
        requests = self._stack.rows("SELECT request_id, username, transaction, result, detail FROM auth_requests")
        noted = Counter(row["transaction"] for row in requests if row["transaction"] is not None)
        lost: Counter[str] = Counter(
            row["username"]
            for row in requests
            if row["transaction"] is None and str(row["detail"]).startswith(("interrupted", "answer_lost"))
        )
        unnoted: defaultdict[str, list[str]] = defaultdict(list)
        pushes = list(self._stack.duo.pushes)
        found.pushes = len(pushes)
        for push in pushes:
            if push.txid not in noted:
                unnoted[push.user].append(push.txid)
        found.pushes_unnoted = sum(len(txids) for txids in unnoted.values())
        found.require(
            "pushes_twice",
            [txid for txid, times in noted.items() if times > 1]
            + [f"{user}: {txids}" for user, txids in unnoted.items() if len(txids) > lost[user]],
        )

    def _check_proof(self, found: Findings, mine: Mapping[str, Mapping[str, Any]]) -> None:
        """A `confirmed` needs a push that the phone approved, at Duo itself; so does everything that silences."""
        names = {row["chat_id"]: row["username"] for row in self._stack.rows("SELECT chat_id, username FROM people")}
        approved = {
            push.user for push in list(self._stack.duo.pushes) if self._stack.duo.status_of(push.txid) == "allow"
        }
        believed = [digest for digest, row in mine.items() if row["resolution"] == "confirmed"]
        found.require(
            "believed_without_proof",
            (
                digest
                for digest in believed
                if names.get(mine[digest]["person_id"]) not in approved
                or self._habits.get(str(mine[digest]["person_id"])) in UNPROVED
            ),
        )
        confirmed = {(row["person_id"], row["title"]) for row in mine.values() if row["resolution"] == "confirmed"}
        found.require(
            "silenced_without_proof",
            (
                digest
                for digest, row in mine.items()
                if row["resolution"] in ("ignored", "blacklisted")
                and (row["person_id"], row["title"]) not in confirmed
                and names.get(row["person_id"]) not in approved
            ),
        )

    def _check_leftovers(self, found: Findings) -> None:
        left = [
            f"{name}: {number}"
            for name, statement in (
                ("outbox", "SELECT COUNT(*) n FROM outbox"),
                ("deliveries", "SELECT COUNT(*) n FROM chat_deliveries WHERE state = 'pending'"),
                ("pushes", "SELECT COUNT(*) n FROM auth_requests WHERE state <> 'settled'"),
            )
            if (number := self._stack.rows(statement)[0]["n"])
        ]
        left += [f"queue {name}: {number}" for name, number in self._stack.queue_depths().items() if number]
        found.require("left_over", left)
        found.quarantined = self._stack.rows("SELECT COUNT(*) n FROM quarantine")[0]["n"]
        if found.quarantined != self._quarantined:
            reasons = self._stack.rows("SELECT DISTINCT reason FROM quarantine LIMIT 5")
            found.problems.append(f"quarantined: {found.quarantined}, expected {self._quarantined}: {reasons}")
