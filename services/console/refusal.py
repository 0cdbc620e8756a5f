"""A sign-in that is not let through."""

from __future__ import annotations


class Refused(Exception):
    """The sign-in cannot be let through; the text is for the person."""
