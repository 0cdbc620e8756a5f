"""Chat systems and second factors are found by entry point, so that a package can bring its own."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, Literal

from common.errors import ConfigurationError

Group = Literal["securitybot.chat", "securitybot.auth"]


def load_plugin(group: Group, name: str, variable: str) -> Any:
    """Return the object that the entry point `name` of `group` names.

    Raises:
        ConfigurationError: nobody registered that name, or it cannot be imported.
    """
    found = {point.name: point for point in entry_points(group=group)}
    if name not in found:
        known = ", ".join(sorted(found))
        raise ConfigurationError(f"{variable} is {name!r}: it may be one of {known} (entry points of {group})")
    try:
        return found[name].load()
    except ImportError as error:
        raise ConfigurationError(f"{variable} is {name!r}, which cannot be imported: {error}") from error
