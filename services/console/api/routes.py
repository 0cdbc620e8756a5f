"""The API's routes: the same questions and changes as the pages, for programs with a token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.security import HTTPBearer
from sqlalchemy import Connection, select

from common.api_tokens import Scope, Token, TokenCheck
from common.messages import AllowPushes
from common.problem import ProblemError, problem
from common.records import triage
from common.records.changes import (
    Silence,
    add_blacklist,
    add_ignored,
    drop_quarantined,
    lift,
    retry_quarantined,
)
from common.records.queries import (
    alert_history,
    find_alerts,
    get_quarantined,
    list_people,
    list_quarantine,
    list_silences,
)
from common.records.tables import BlacklistRow, IgnoredRow, PersonRow
from common.unit_of_work import UnitOfWork
from services.console.api import models
from services.console.counting import Shares, quantile
from services.console.desk import Desk
from services.console.finding import find, triage_of
from services.console.searches import decode_cursor

TABLES: dict[str, type[IgnoredRow | BlacklistRow]] = {"ignored": IgnoredRow, "blacklist": BlacklistRow}
SilenceTable = Literal["ignored", "blacklist"]
_bearer = HTTPBearer(auto_error=False, description="A token of `securitybot tokens create`")


def reader(request: Request, _: Annotated[Any, Depends(_bearer)]) -> Token:
    """Require a token that may read."""
    check: TokenCheck = request.app.state.tokens
    return check.authorise(request, Scope.READ)


def admin(request: Request, _: Annotated[Any, Depends(_bearer)]) -> Token:
    """Require a token that may change things."""
    check: TokenCheck = request.app.state.tokens
    return check.authorise(request, Scope.ADMIN)


Admin = Annotated[Token, Depends(admin)]


def make_router(desk: Desk) -> APIRouter:
    """Return every route. Reading needs a token with the scope `read`, changing one with `admin`."""
    router = APIRouter()
    reading = APIRouter(dependencies=[Depends(reader)])
    _read_alerts(reading, desk)
    _read_the_rest(reading, desk)
    _change_alerts(router, desk)
    _change_silences(router, desk)
    _change_quarantine(router, desk)
    router.include_router(reading)
    return router


def _read_alerts(router: APIRouter, desk: Desk) -> None:
    @router.get("/alerts")
    def alerts(query: Annotated[models.AlertQuery, Query()]) -> models.AlertPage:
        """List alerts; with `text` newest first, whatever `sort` says."""
        cursor = decode_cursor(query.cursor)
        found = desk.read(lambda connection: find(connection, query.search(), cursor, whole=True))
        return models.AlertPage(alerts=[models.AlertOut(**row) for row in found.alerts], cursor=found.cursor)

    @router.get("/alerts/{hash}")
    def alert(hash: models.Hash) -> models.AlertStory:  # noqa: A002 - the parameter's name in the path
        """One alert with its history."""

        def read(connection: Connection) -> models.AlertStory:
            rows = find_alerts(connection, hash)
            if not rows:
                raise _missing("alert")
            return models.AlertStory(
                alert=models.AlertOut(**rows[0]),
                triage=models.Triage(**triage_of(connection, [hash]).get(hash, {})),
                history=[models.HistoryEntry(**row) for row in alert_history(connection, hash)],
            )

        return desk.read(read)


def _read_the_rest(router: APIRouter, desk: Desk) -> None:
    """A page that is full has a `Link` to the next one (RFC 8288)."""

    @router.get("/ignored")
    def ignored(query: Annotated[models.IgnoredQuery, Query()], response: Response) -> list[models.SilenceOut]:
        """Titles that somebody is not asked about; `ended`: with those that are over."""
        rows = desk.read(lambda c: list_silences(c, IgnoredRow, desk.now(), **query.filters()))
        _link(response, query, rows, "id")
        return [models.SilenceOut(**row) for row in rows]

    @router.get("/blacklist")
    def blacklist(query: Annotated[models.BlacklistQuery, Query()], response: Response) -> list[models.SilenceOut]:
        """Who is not asked anything; `ended`: with those entries that are over."""
        rows = desk.read(lambda c: list_silences(c, BlacklistRow, desk.now(), **query.filters()))
        _link(response, query, rows, "id")
        return [models.SilenceOut(**row) for row in rows]

    @router.get("/people")
    def people(query: Annotated[models.PeopleQuery, Query()], response: Response) -> list[models.PersonOut]:
        """The directory; `search`: the beginning of a user name or e-mail address."""
        rows = desk.read(lambda c: list_people(c, **query.filters()))
        _link(response, query, rows, "chat_id", "username")
        return [models.PersonOut(**row) for row in rows]

    @router.get("/quarantine")
    def quarantine(
        query: Annotated[models.QuarantineQuery, Query()], response: Response
    ) -> list[models.QuarantinedOut]:
        """Messages that could not be taken."""
        state = None if query.state == "all" else query.state
        rows = desk.read(lambda c: list_quarantine(c, state, query.limit, query.cursor))
        _link(response, query, rows, "id")
        return [models.QuarantinedOut(**row) for row in rows]

    @router.get("/quarantine/{number}")
    def quarantined(number: models.RowNumber) -> models.QuarantinedWhole:
        """One message with its body."""
        row = desk.read(lambda connection: get_quarantined(connection, number))
        if row is None:
            raise _missing("message in the quarantine")
        body = bytes(row.pop("body")).decode(errors="backslashreplace")
        return models.QuarantinedWhole(**row, body=body)

    @router.get("/stats")
    def stats(days: Annotated[int, Query(ge=1, le=366)] = 30) -> models.Stats:
        """Counts of the last days."""
        return _stats(desk, days)


def _link(response: Response, query: models.PageQuery, rows: Sequence[Mapping[str, Any]], *last: str) -> None:
    """Name the next page, which begins after what `last` says of this one's last row."""
    if len(rows) == query.limit:
        cursor = "\t".join(str(rows[-1][name]) for name in last)
        again = query.model_dump(mode="json", exclude_defaults=True) | {"cursor": cursor}
        response.headers["Link"] = f'<?{urlencode(again, doseq=True)}>; rel="next"'


def _stats(desk: Desk, days: int) -> models.Stats:
    today = desk.now().date()
    first = today - timedelta(days=days - 1)
    data = desk.insight(first.isoformat(), today.isoformat())
    buckets: Counter[int] = Counter()
    for answers in data.answers.values():
        buckets.update(answers)

    def out(found: list[Shares]) -> list[models.ShareOut]:
        return [models.ShareOut(key=s.key, alerts=s.total, by_group=dict(s.by_group)) for s in found]

    return models.Stats(
        first=first.isoformat(), last=today.isoformat(), alerts=data.total, needed_no_analyst=data.saved,
        median_answer_seconds=quantile(buckets, 0.5), p95_answer_seconds=quantile(buckets, 0.95),
        days={day: dict(counts) for day, counts in sorted(data.days.items())},
        titles=out(data.titles), teams=out(data.teams), hours=out(data.hours),
    )  # fmt: skip


def _change_alerts(router: APIRouter, desk: Desk) -> None:
    @router.post("/alerts/{hash}/take", status_code=204)
    def take(hash: models.Hash, token: Admin) -> None:  # noqa: A002
        """Say that the token's owner looks after an alert."""
        desk.change(lambda work: triage.take(_known(work, hash), hash, _actor(token)))

    @router.post("/alerts/{hash}/comment", status_code=204)
    def comment(hash: models.Hash, given: models.Comment, token: Admin) -> None:  # noqa: A002
        """Add words to an alert's story."""
        desk.change(lambda work: triage.comment(_known(work, hash), hash, given.comment, _actor(token)))

    @router.post("/alerts/{hash}/close", status_code=204)
    def close(hash: models.Hash, given: models.Closing, token: Admin) -> None:  # noqa: A002
        """Close an alert that waits for the team."""
        desk.change(lambda work: triage.close(_known(work, hash), [hash], given.verdict, given.comment, _actor(token)))

    @router.post("/people/{chat_id}/allow-pushes", status_code=204)
    def allow_pushes(chat_id: models.Text, token: Admin) -> None:
        """Let pushes go to somebody again who has marked one as fraudulent."""

        def change(work: UnitOfWork) -> None:
            if work.connection.scalar(select(PersonRow.chat_id).where(PersonRow.chat_id == chat_id)) is None:
                raise _missing("person")
            work.emit(AllowPushes(person_id=chat_id, analyst=_actor(token)), owner=chat_id, about=chat_id)

        desk.change(change)


def _change_silences(router: APIRouter, desk: Desk) -> None:
    @router.post("/ignored", status_code=204)
    def ignore(given: models.Ignoring, token: Admin) -> None:
        """Do not ask somebody about one title for a while."""
        silence = Silence(given.until, given.reason, _actor(token))
        desk.change(lambda work: add_ignored(work, given.person, given.title, silence))

    @router.post("/blacklist", status_code=204)
    def blacklist(given: models.Blacklisting, token: Admin) -> None:
        """Ask somebody nothing for a while."""
        silence = Silence(given.until, given.reason, _actor(token))
        desk.change(lambda work: add_blacklist(work, given.person, silence))

    @router.post("/{table}/{number}/lift", status_code=204)
    def lift_entry(table: SilenceTable, number: models.RowNumber, token: Admin) -> None:
        """End an entry now."""
        desk.change(lambda work: lift(work, TABLES[table], number, _actor(token)))


def _change_quarantine(router: APIRouter, desk: Desk) -> None:
    @router.post("/quarantine/{number}/retry")
    def retry(number: models.RowNumber, given: models.Retry, token: Admin) -> models.Retried:
        """Send a message again."""
        body = None if given.body is None else given.body.encode()
        message_id = desk.change(lambda work: retry_quarantined(work, number, _actor(token), body))
        return models.Retried(message_id=message_id)

    @router.post("/quarantine/{number}/drop", status_code=204)
    def drop(number: models.RowNumber, given: models.Dropping, token: Admin) -> None:
        """Decide that a message need not be handled."""
        desk.change(lambda work: drop_quarantined(work, number, _actor(token), given.note))


def _known(work: UnitOfWork, digest: str) -> UnitOfWork:
    if not find_alerts(work.connection, digest):
        raise _missing("alert")
    return work


def _missing(what: str) -> ProblemError:
    return ProblemError(problem(404, f"there is no such {what}"))


def _actor(token: Token) -> str:
    return f"token:{token.name}"
