"""The product with a fault in it: `python planted.py FAULT run SERVICE`. To see that the checker notices."""

from __future__ import annotations

import sys
from collections.abc import Callable

from common.messages import AuthResult
from services.auth_poller.port import Settled
from services.cli.main import cli


def _outbox() -> None:
    """What a killed process had committed and not published is never published."""
    from common.unit_of_work import Transactions

    Transactions.sweep = lambda *_, **__: 0  # type: ignore[method-assign]


def _inbox() -> None:
    """A redelivered message is handled like a new one."""
    from sqlalchemy import delete

    from common.records.tables import InboxRow
    from common.worker import Worker

    enter = Worker._enter_inbox

    def forgetful(self: object, work: object, deliveries: object) -> object:
        work.connection.execute(delete(InboxRow))  # type: ignore[attr-defined]
        return enter(self, work, deliveries)  # type: ignore[arg-type]

    Worker._enter_inbox = forgetful  # type: ignore[method-assign, assignment]


def _find() -> None:
    """A message that may be posted already is posted again without a look."""
    from services.chat_gateway.slack.adapter import SlackChat

    SlackChat.find = lambda *_: None  # type: ignore[method-assign]


def _proof() -> None:
    """Whatever the second factor says is taken for an approval."""
    from services.auth_poller.duo import DuoAuthenticator

    poll = DuoAuthenticator.poll

    def credulous(self: DuoAuthenticator, transaction: str, most: float) -> Settled | None:
        settled = poll(self, transaction, most)
        return Settled(AuthResult.APPROVED, settled.detail) if settled else None

    DuoAuthenticator.poll = credulous  # type: ignore[method-assign]


FAULTS: dict[str, Callable[[], None]] = {"outbox": _outbox, "inbox": _inbox, "find": _find, "proof": _proof}

if __name__ == "__main__":
    FAULTS[sys.argv.pop(1)]()
    cli.main()
