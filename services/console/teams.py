"""Teams of owners: `config/teams.yaml`, for the insight page. Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

NO_TEAM = "no team"


class TeamEntry(BaseModel):
    """One team and the owners that belong to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Annotated[str, Field(min_length=1, max_length=255)]
    """As it is shown."""
    owners: tuple[str, ...]
    """Owners as alerts name them, or chat ids: exact or globs."""


class Teams(BaseModel):
    """Who belongs to which team; the first that matches counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    teams: tuple[TeamEntry, ...] = ()
    """The first team that fits an owner counts."""

    def of(self, owner: str, person_id: str | None) -> str:
        """Return the team of an owner."""
        names = [owner.lower(), *([person_id.lower()] if person_id else [])]
        for team in self.teams:
            if any(fnmatchcase(name, pattern.lower()) for pattern in team.owners for name in names):
                return team.name
        return NO_TEAM
