"""The free-text index in the record: filled behind the alerts, asked newest first, rarest term first.

A table of words rather than the database's own full-text search: that one is spelt differently (or missing) in each
database that we speak, cuts `db-7` and `10.0.0.5` into pieces too short to be kept, and sorts all hits of a common word
before it returns the newest fifty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile

from sqlalchemy import Connection, insert, select

from common.records.console_tables import AlertWordRow, WordRow
from common.records.tables import AlertRow
from common.unit_of_work import UnitOfWork
from services.console.counters import add_counts
from services.console.progress import Progress
from services.console.words import has_all, terms_of, words_of

BATCH = 2000
SETTLED_AFTER = timedelta(seconds=30)
"""An alert with a smaller number may still be in a transaction that commits later; none takes this long."""
MOST_EXPANSIONS = 30
FIRST_CANDIDATES, MOST_CANDIDATES = 200, 3200
"""Looked at in the first round, and in any: a common word fills its page from few, a rare combination needs many."""
MOST_UNINDEXED = 2000
NAME = "words"
_LAST = "\U0010ffff"


def index_more(work: UnitOfWork) -> int:
    """Index the next alerts that are settled. Returns how many.

    It stops at the first that is not, since clocks differ: what it went past would never be found.
    """
    progress = Progress(work, NAME)
    following = work.connection.execute(
        select(AlertRow.id, AlertRow.title, AlertRow.description, AlertRow.owner, AlertRow.received_at)
        .where(AlertRow.id > progress.position)
        .order_by(AlertRow.id)
        .limit(BATCH)
    ).all()
    rows = list(takewhile(lambda row: row.received_at < work.now - SETTLED_AFTER, following))
    if not rows:
        return 0
    pairs = sorted((word, row.id) for row in rows for word in words_of(row.title, row.description, row.owner))
    if pairs:
        work.connection.execute(insert(AlertWordRow), [{"word": word, "alert_id": number} for word, number in pairs])
        counts = Counter(word for word, _ in pairs)
        add_counts(work.connection, WordRow, [{"word": word, "alerts": n} for word, n in sorted(counts.items())])
    progress.move(rows[-1].id, work.now)
    return len(rows)


@dataclass(frozen=True, slots=True)
class Hits:
    """Alerts that have all terms, newest first, below a number."""

    ids: tuple[int, ...]
    looked_down_to: int
    """Everything from here up has been looked at; the next search goes on below it."""
    exhausted: bool
    """There is nothing below."""


class WordSearch:
    """One search for every word of `text`."""

    def __init__(self, connection: Connection, text: str) -> None:
        self._connection = connection
        self._terms = terms_of(text)
        self._position = Progress.read(connection, NAME)
        expanded = [self._expand(term) for term in self._terms]
        self._candidates_at_once = FIRST_CANDIDATES
        self._expanded = sorted(expanded, key=lambda words: sum(words.values()))

    def _expand(self, term: str) -> dict[str, int]:
        rows = self._connection.execute(
            select(WordRow.word, WordRow.alerts)
            .where(WordRow.word >= term, WordRow.word < term + _LAST)
            .order_by(WordRow.word)
            .limit(MOST_EXPANSIONS)
        )
        return {row.word: row.alerts for row in rows}

    def below(self, number: int | None) -> Hits:
        """Return the next hits with ids below `number`; may be none though there are more further down."""
        if not self._terms:
            return Hits((), 0, exhausted=True)
        if number is None or number > self._position + 1:
            return self._unindexed(number)
        if not all(self._expanded):
            return Hits((), 0, exhausted=True)
        candidates, down_to = self._candidates(number)
        for words in self._expanded[1:]:
            if not candidates:
                break
            candidates = self._having(words, candidates)
        return Hits(tuple(sorted(candidates, reverse=True)), down_to, exhausted=down_to == 0)

    def _unindexed(self, number: int | None) -> Hits:
        """Read what the index does not have yet."""
        query = select(AlertRow.id, AlertRow.title, AlertRow.description, AlertRow.owner).where(
            AlertRow.id > self._position
        )
        if number is not None:
            query = query.where(AlertRow.id < number)
        rows = self._connection.execute(query.order_by(AlertRow.id.desc()).limit(MOST_UNINDEXED)).all()
        ids = [row.id for row in rows if has_all(words_of(row.title, row.description, row.owner), self._terms)]
        down_to = rows[-1].id if len(rows) == MOST_UNINDEXED else self._position + 1
        return Hits(tuple(ids), down_to, exhausted=False)

    def _candidates(self, number: int) -> tuple[set[int], int]:
        """Return the newest alerts that have the rarest term, and how far down they are complete."""
        found: set[int] = set()
        down_to, most = 0, self._candidates_at_once
        self._candidates_at_once = min(2 * most, MOST_CANDIDATES)
        for word in self._expanded[0]:
            ids = self._connection.scalars(
                select(AlertWordRow.alert_id)
                .where(AlertWordRow.word == word, AlertWordRow.alert_id < number)
                .order_by(AlertWordRow.alert_id.desc())
                .limit(most)
            ).all()
            found.update(ids)
            if len(ids) == most:
                down_to = max(down_to, ids[-1])
        return {number for number in found if number >= down_to}, down_to

    def _having(self, words: dict[str, int], candidates: set[int]) -> set[int]:
        ids: Sequence[int] = self._connection.scalars(
            select(AlertWordRow.alert_id).where(
                AlertWordRow.word.in_(list(words)), AlertWordRow.alert_id.in_(sorted(candidates))
            )
        ).all()
        return set(ids)
