"""The product with faults in it: `python planted.py FAULT,… run SERVICE`. To see that the checker notices."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from sqlalchemy import delete

from common.bus.port import Delivery
from common.inbox import Inbox
from common.messages import AuthResult
from common.records.tables import InboxRow
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from services.auth_poller.duo import DuoAuthenticator
from services.auth_poller.port import Settled
from services.chat_gateway.slack.adapter import SlackChat
from services.cli.main import cli


def _outbox() -> None:
    """What a killed process had committed and not published is never published."""
    Transactions.sweep = lambda *_, **__: 0  # type: ignore[method-assign]


def _inbox() -> None:
    """A redelivered message is handled like a new one."""
    enter = Inbox.enter

    def forgetful(self: Any, work: UnitOfWork, *deliveries: Any, **more: Any) -> list[Delivery]:
        work.connection.execute(delete(InboxRow))
        return enter(self, work, *deliveries, **more)

    Inbox.enter = forgetful  # type: ignore[method-assign]


def _find() -> None:
    """A message that may be posted already is posted again without a look."""
    SlackChat.find = lambda *_: None  # type: ignore[method-assign]


def _proof() -> None:
    """Whatever the second factor says is taken for an approval."""
    poll = DuoAuthenticator.poll

    def credulous(self: DuoAuthenticator, transaction: str, most: float) -> Settled | None:
        settled = poll(self, transaction, most)
        return Settled(AuthResult.APPROVED, settled.detail) if settled else None

    DuoAuthenticator.poll = credulous  # type: ignore[method-assign]


FAULTS: dict[str, Callable[[], None]] = {"outbox": _outbox, "inbox": _inbox, "find": _find, "proof": _proof}

if __name__ == "__main__":
    for fault in sys.argv.pop(1).split(","):
        FAULTS[fault]()
    cli.main()
