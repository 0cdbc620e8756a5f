"""A chat system and a second factor that are folders: the smallest adapters that keep the ports' promises."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """Return the folder that stands for chat system and phones."""
    return Path(os.environ.get("FOLDERS", "folders"))
