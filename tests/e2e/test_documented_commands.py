"""The commands of each page, from top to bottom, as a reader would type them: against a stack that runs."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, Block, runnable
from tests.person import Person
from tests.stack import SCRIPT, Stack

PAGES_TO_RUN = [page for page in PAGES if any(block.runs for block in runnable(page))]


def script(page: Path) -> str:
    """Return what is run on a page as one shell script, so that a variable lives on."""

    def as_shell(block: Block) -> str:
        return block.text if block.language == "sh" else f"python -c {shlex.quote(block.text)}\n"

    return "set -euo pipefail\n" + "".join(as_shell(block) for block in runnable(page) if block.runs)


@pytest.mark.parametrize("page", PAGES_TO_RUN, ids=lambda page: page.name)
def test_what_a_page_says_works(page: Path, stack: Stack, person: Person, tmp_path: Path) -> None:
    text = script(page)
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{stack.processes['ingest'].port}")
    text = text.replace("amqp://localhost", stack.amqp_url).replace("alice", person.name)
    environment = stack.environment() | {"PATH": f"{Path(SCRIPT).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", text], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
