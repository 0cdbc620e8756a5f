"""The pages of the documentation, and the blocks of commands and code in them.

Before each block that somebody could run stands a comment: `<!-- run -->`, or `<!-- not run: why -->`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.stack import ROOT

PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>run|not run: [^>]+?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
RUNNABLE = ("sh", "python")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a page."""

    page: Path
    line: int
    language: str
    text: str
    mark: str | None

    @property
    def runs(self) -> bool:
        """Whether a test runs it."""
        return self.mark == "run"

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    text = page.read_text("utf-8")
    return [
        Block(page, text[: found.start("text")].count("\n"), found["language"], found["text"], found["mark"])
        for found in _BLOCK.finditer(text)
    ]


def runnable(page: Path) -> list[Block]:
    """Return what somebody could run."""
    return [block for block in blocks(page) if block.language in RUNNABLE]
