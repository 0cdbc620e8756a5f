"""One line that a change leaves for the next page, in a cookie; only ever shown as text."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from starlette.responses import Response

FLASH_COOKIE = "securitybot_said"
MAX_FLASH = 300


def set_flash(response: Response, said: str, *, refused: bool = False) -> None:
    """Leave a line for the next page."""
    value = base64.urlsafe_b64encode(f"{'!' if refused else '.'}{said[:MAX_FLASH]}".encode()).decode()
    response.set_cookie(FLASH_COOKIE, value, max_age=30, httponly=True, samesite="strict")


def read_flash(cookies: Mapping[str, str]) -> tuple[bool, str] | None:
    """Return what the last page said: whether it was refused, and the line."""
    value = cookies.get(FLASH_COOKIE)
    if not value:
        return None
    try:
        said = base64.urlsafe_b64decode(value).decode()
    except ValueError:
        return None
    return said[:1] == "!", said[1 : MAX_FLASH + 1]
