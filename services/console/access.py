"""Who may do what, and what a request must show before it changes anything. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import urlsplit

IDLE = timedelta(hours=1)
"""A session that was not used for this long is over."""
ABSOLUTE = timedelta(hours=12)
"""Nobody stays signed in for longer, however busy."""
THROTTLE_WINDOW = timedelta(minutes=15)
MOST_FAILURES_OF_NAME = 5
MOST_FAILURES_OF_ADDRESS = 20
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})


class Role(StrEnum):
    """What somebody may do in the console; each may do what those before it may."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    ADMIN = "admin"

    def allows(self, needed: Role) -> bool:
        """Tell whether this role may do what needs `needed`."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who is signed in."""

    name: str
    role: Role
    provider: str
    csrf: str

    @property
    def actor(self) -> str:
        """Return the name that stands in the history beside their changes."""
        return f"analyst:{self.name}"


def csrf_token(session_token: str) -> str:
    """Return what forms carry: derived from the session, so nothing is stored and a new session has a new one."""
    return hmac.new(session_token.encode(), b"securitybot console csrf", hashlib.sha256).hexdigest()


def same_token(shown: str, expected: str) -> bool:
    """Compare in constant time; what is shown may be anything."""
    return hmac.compare_digest(shown.encode(errors="replace"), expected.encode())


def is_cross_site(headers: Mapping[str, str]) -> bool:
    """Tell whether a browser says that a request was caused by another site's page."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host", "")


def is_session_over(created_at: datetime, seen_at: datetime, now: datetime) -> bool:
    """Tell whether a session has run out, idle or absolute."""
    return now >= created_at + ABSOLUTE or now >= seen_at + IDLE


def is_throttled(failures_of_name: int, failures_of_address: int) -> bool:
    """Tell whether another try to sign in has to wait."""
    return failures_of_name >= MOST_FAILURES_OF_NAME or failures_of_address >= MOST_FAILURES_OF_ADDRESS


def is_loopback_visit(client: str | None, host_header: str) -> bool:
    """Tell whether the request comes from this machine and names it: a name that merely resolves here does not count.

    Without the second half any web page could reach the demo through a host name of its own (DNS rebinding).
    """
    name = urlsplit(f"//{host_header}").hostname or ""
    try:
        return client is not None and ip_address(client).is_loopback and name in LOOPBACK_NAMES
    except ValueError:
        return False


def safe_path(path: str) -> str:
    """Return `path` if it leads into this console, otherwise the inbox: never to another site."""
    parts = urlsplit(path)
    local = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    clean = local and path.isprintable() and "\\" not in path
    return path if clean else "/inbox"


def role_of_groups(groups: Sequence[str], mapping: Mapping[str, Role]) -> Role | None:
    """Return the highest role that the groups give, or None: no group, no access."""
    roles = [mapping[group] for group in groups if group in mapping]
    return max(roles, key=list(Role).index, default=None)


def read_role_mapping(text: str) -> dict[str, Role]:
    """Read `group=role` pairs, separated by commas or white space.

    Raises:
        ValueError: says what is wrong.
    """
    mapping: dict[str, Role] = {}
    for pair in text.replace(",", " ").split():
        group, separator, role = pair.rpartition("=")
        if not separator or not group or role not in list(Role):
            raise ValueError(f"{pair!r} is no group=role pair; the roles are {', '.join(Role)}")
        mapping[group] = Role(role)
    return mapping
