"""Is this alert new, one more occurrence of a known one, or a publisher's mistake? Pure."""

from __future__ import annotations

from dataclasses import dataclass

from common.alerts import Alert


@dataclass(frozen=True, slots=True)
class Known:
    """What decides about an alert with a hash that was there before."""

    owner: str
    title: str


@dataclass(frozen=True, slots=True)
class Accept:
    """A new alert."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """The same alert once more."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Not taken; the reason is for the publisher."""

    reason: str


Admission = Accept | Occurrence | Refuse


def admit(alert: Alert, known: Known | None) -> Admission:
    """Decide about `alert`, given what the record has under its hash."""
    if known is None:
        return Accept()
    if (known.owner, known.title) == (alert.owner, alert.title):
        return Occurrence()
    differ = " and ".join(name for name in ("owner", "title") if getattr(known, name) != getattr(alert, name))
    return Refuse(f"hash: {alert.hash} belongs to another alert ({differ} differ); give each event a hash of its own")
