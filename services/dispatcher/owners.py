"""Whom to ask: an alert's owner → people to try in order → the person of the directory. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GlobOwner(_Model):
    """All owners that `match`, e.g. `db-*`."""

    match: str
    """A glob; case matters."""
    people: tuple[str, ...] = Field(min_length=1)
    """Who answers for them: chat user name, e-mail address or chat id; the first whom chat can reach is asked."""


class Owners(_Model):
    """`config/owners.yaml`: hosts and service accounts with the people who answer for them."""

    exact: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """Owner → the people who answer for it."""
    globs: tuple[GlobOwner, ...] = ()
    """Looked at in this order where no exact name fits."""

    def candidates(self, owner: str) -> tuple[str, ...]:
        """Return the handles to try, in order: those of the file, or the owner itself if it is not there."""
        if owner in self.exact:
            return self.exact[owner]
        return next((rule.people for rule in self.globs if fnmatchcase(owner, rule.match)), (owner,))


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the chat directory."""

    chat_id: str
    username: str
    email: str | None
    display_name: str
    time_zone: str | None
    active: bool


@dataclass(frozen=True, slots=True)
class Match:
    """The person, and how sure that is: chat ids never change, addresses and user names are given by administrators."""

    person: Person
    matched_by: str
    """`chat_id`, `email` or `username`; after `owners/` if `config/owners.yaml` named the handle."""


class Directory:
    """The people of the chat system, found by what cannot be chosen freely; never by a display name."""

    def __init__(self, people: Iterable[Person]) -> None:
        self.by_id = {person.chat_id: person for person in people}
        active = [person for person in self.by_id.values() if person.active]
        self._by_email = _unique((person.email, person) for person in active)
        self._by_username = _unique((person.username, person) for person in active)

    def find(self, handle: str) -> Match | None:
        """Return the active person behind a chat id, an e-mail address or a chat user name.

        An address or a name that two people have finds nobody: a wrong guess would ask the wrong person.
        """
        person = self.by_id.get(handle)
        if person is not None and person.active:
            return Match(person, "chat_id")
        lowered = handle.lower().removeprefix("@")
        for matched_by, index in (("email", self._by_email), ("username", self._by_username)):
            found = index.get(lowered)
            if found is not None:
                return Match(found, matched_by)
        return None

    def first_of(self, owner: str, candidates: Sequence[str]) -> Match | None:
        """Return the first of the candidates whom chat can reach."""
        for handle in candidates:
            match = self.find(handle)
            if match is not None:
                return match if handle == owner else Match(match.person, f"owners/{match.matched_by}")
        return None


def _unique(pairs: Iterable[tuple[str | None, Person]]) -> dict[str, Person | None]:
    index: dict[str, Person | None] = {}
    for key, person in pairs:
        if key:
            index[key] = None if key in index else person
    return index
