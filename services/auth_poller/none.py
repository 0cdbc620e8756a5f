"""No second factor: every answer stays unproved."""

from __future__ import annotations

from common.messages import AuthResult
from common.settings import Settings
from services.auth_poller.port import Answer, Prepared, Request, Settled

_UNPROVED = Settled(AuthResult.UNPROVED, "none")


class NoAuthenticator:
    """Settles before anything is asked."""

    def prepare(self, request: Request) -> Settled:
        """Return at once that nothing is proved."""
        del request
        return _UNPROVED

    def start(self, request: Request, prepared: Prepared) -> Settled:
        """Return the same, for a request that another second factor had begun."""
        del request, prepared
        return _UNPROVED

    def poll(self, transaction: str, most: float) -> Settled:
        """Return the same, for a request that another second factor had started."""
        del transaction, most
        return _UNPROVED

    def answered(self, request: Request, answer: Answer) -> None:
        """Return None: a click settles nothing."""
        del request, answer

    def check(self) -> None:
        """Return None: there is nothing that could be away."""


def from_settings(settings: Settings) -> NoAuthenticator:
    """Return the adapter; it has no settings."""
    del settings
    return NoAuthenticator()
