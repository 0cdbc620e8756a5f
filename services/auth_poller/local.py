"""The simulated push of the demo: approved or refused with buttons in chat. Proves nothing to anybody but a tester."""

from __future__ import annotations

from common.messages import AuthResult
from common.settings import Settings
from services.auth_poller.port import Answer, Prepared, Request, Settled, Started


class LocalAuthenticator:
    """Whoever can click in the person's chat can approve; hence its name."""

    def prepare(self, request: Request) -> Prepared:
        """Return at once: everybody can be asked in chat."""
        del request
        return Prepared()

    def start(self, request: Request, prepared: Prepared) -> Started:
        """Leave the rest to chat."""
        del prepared
        return Started(transaction=request.request_id, approve_in_chat=True)

    def poll(self, transaction: str, most: float) -> None:
        """Return at once: the answer comes as a click."""
        del transaction, most

    def answered(self, request: Request, answer: Answer) -> Settled | None:
        """Settle what this adapter started, and nothing that another second factor was asked for."""
        if request.transaction != request.request_id:
            return None
        if answer == "approve":
            return Settled(AuthResult.APPROVED, "local")
        return Settled(AuthResult.DENIED, "local")

    def check(self) -> None:
        """Return None: there is nothing that could be away."""


def from_settings(settings: Settings) -> LocalAuthenticator:
    """Return the adapter; it has no settings."""
    del settings
    return LocalAuthenticator()
