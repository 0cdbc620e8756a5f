"""JSON from strangers: read strictly, and refused with a reason where it could not be kept or shown. Pure."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from common.errors import BadMessage

MAX_DEPTH = 64
"""Levels of nesting in an object that is kept as it is; the object is level one."""
MAX_DIGITS = 300
"""Digits of an integer at the most; more is no number that a tool means."""
_BIGGEST = 10**MAX_DIGITS


def parse_json(body: bytes) -> Any:
    """Return the JSON value in `body`: UTF-8, every key once, no NaN and no Infinity.

    Raises:
        BadMessage: what is wrong and where.
    """
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadMessage(f"body: not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise BadMessage(f"body: not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise BadMessage(f"body: nested too deeply; at most {MAX_DEPTH} levels are taken") from None
    except ValueError:
        raise BadMessage(f"body: holds an integer of more than {MAX_DIGITS} digits; write it as a string") from None


def text_problem(value: str) -> str | None:
    """Return why a string cannot be kept and shown, or None."""
    if "\0" in value:
        return "holds a NUL character"
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return "holds half a surrogate pair, which is no character"
    return None


def value_problem(value: object) -> str | None:
    """Return why a JSON value cannot be kept as it is, or None. Looks at every level without recursion."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below += item
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif problem := _scalar_problem(item):
                return problem
        if not below:
            return None
        level = below
    return f"nested too deeply; at most {MAX_DEPTH} levels are taken"


def _scalar_problem(item: object) -> str | None:
    if isinstance(item, str):
        return text_problem(item)
    if isinstance(item, float) and not math.isfinite(item):
        return "holds a number that is not finite"
    if isinstance(item, int) and not -_BIGGEST < item < _BIGGEST:
        return f"holds an integer of more than {MAX_DIGITS} digits; write it as a string"
    return None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise BadMessage(f"body: the key {key[:40]!r} is there twice")
            seen.add(key)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise BadMessage(f"body: {name} is no JSON; leave it out or write it as a string")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
