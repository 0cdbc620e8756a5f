"""A second factor of files: a push is `<folder>/.pushes/<id>`; who renames it to `<id>.approved` has approved it."""

from __future__ import annotations

import time
from pathlib import Path

from common.messages import AuthResult
from common.settings import Settings
from securitybot_folders import folder
from services.auth_poller.port import Answer, AuthTemporary, Prepared, Request, Settled, Started

LOOK_EVERY = 0.1


class FolderFactor:
    """Proves that somebody can write to the folder, and nothing more."""

    def __init__(self, root: Path) -> None:
        self._pushes = root / ".pushes"

    def prepare(self, request: Request) -> Prepared | Settled:
        """Everybody can be asked."""
        del request
        return Prepared()

    def start(self, request: Request, prepared: Prepared) -> Started | Settled:
        """Write the push, once."""
        del prepared
        try:
            self._pushes.mkdir(exist_ok=True)
            (self._pushes / request.request_id).touch()
        except OSError as error:
            raise AuthTemporary(str(error)) from error
        return Started(request.request_id)

    def poll(self, transaction: str, most: float) -> Settled | None:
        """Wait for the answer; whatever is neither approved nor refused yet is no proof."""
        deadline = time.monotonic() + most
        while time.monotonic() < deadline:
            for ending, result in (("approved", AuthResult.APPROVED), ("refused", AuthResult.DENIED)):
                if (self._pushes / f"{transaction}.{ending}").exists():
                    return Settled(result, ending)
            time.sleep(LOOK_EVERY)
        return None

    def answered(self, request: Request, answer: Answer) -> Settled | None:
        """Chat settles nothing."""
        del request, answer
        return None

    def check(self) -> str | None:
        """Tell whether the folder is there."""
        return None if self._pushes.parent.is_dir() else f"{self._pushes.parent} is no folder: set FOLDERS to one"


def from_settings(settings: Settings) -> FolderFactor:
    """Entry point `folders` of `securitybot.auth`."""
    del settings
    return FolderFactor(folder())
