"""What every page works with: the record, changes to it, templates, and who is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from common.bus.port import Bus
from common.records.database import translated_errors
from common.service import Runtime
from common.texts import Texts
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from services.console.access import Identity
from services.console.gate import Gate
from services.console.live import Feed
from services.console.pulse import Pulse
from services.console.rendering import Templates
from services.console.rollup import Insight, insight
from services.console.teams import Teams

if TYPE_CHECKING:
    from services.console.oidc import Oidc

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """One a process."""

    runtime: Runtime
    transactions: Transactions
    gate: Gate
    templates: Templates
    texts: Texts
    teams: Teams
    feed: Feed
    pulse: Pulse
    oidc: Oidc | None

    @property
    def bus(self) -> Bus:
        """The broker, for its queue depths."""
        return self.runtime.bus

    def now(self) -> datetime:
        """Return the time."""
        return self.runtime.clock.now()

    def read(self, question: Callable[[Connection], T]) -> T:
        """Return the answer of a query."""
        with translated_errors(), self.runtime.engine.connect() as connection:
            return question(connection)

    def change(self, action: Callable[[UnitOfWork], T]) -> T:
        """Run a change in one transaction."""
        return self.transactions.run(action)

    def insight(self, first: str, last: str) -> Insight:
        """Return what happened from one day to another."""
        return self.read(lambda connection: insight(connection, first, last, self.teams.of))

    def page(self, template: str, request: Request, who: Identity, /, **values: Any) -> Response:
        """Return a page for somebody who is signed in."""
        return self.templates.response(template, request, who, self.now(), **values)

    def message(self, who: Identity | None, status: int, text: str) -> Response:
        """Return a page that only says something."""
        return HTMLResponse(self.templates.plain("message.html", who=who, text=text, status=status), status)
