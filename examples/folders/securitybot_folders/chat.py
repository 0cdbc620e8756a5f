"""A chat system of files: `<folder>/<person>/<message id>.json` is a message, `<folder>/<person>/say/*` an answer."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from starlette.routing import BaseRoute

from common.errors import Temporary
from common.ids import derived_id
from common.messages import ChatContent, Recipient, ReplyReceived
from common.runnable import Runnable
from common.settings import Settings
from securitybot_folders import folder
from services.chat_gateway.port import ChatUnavailable, Intake, Person, Posted, Reply

LOOK_EVERY = 0.2
NAME = re.compile(r"[a-z0-9_-]{1,64}")
"""An alert's owner is whatever its publisher wrote: nothing that is not a plain name becomes part of a path."""


class FolderChat:
    """Everybody who has a folder is a person, and its name is their user name."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def send(self, recipient: Recipient, content: ChatContent, message_id: str) -> Posted:
        """Write the message. The id is the file's name: written twice, it is still one message."""
        self._write(recipient.id, message_id, content)
        return Posted(recipient.id, message_id)

    def update(self, channel: str, posted_as: str, content: ChatContent, message_id: str) -> None:
        """Write it anew."""
        del message_id
        self._write(channel, posted_as, content)

    def find(self, recipient: Recipient, message_id: str, since: datetime) -> Posted | None:
        """Look whether it was written by a process that died."""
        del since
        return Posted(recipient.id, message_id) if self._path(recipient.id, message_id).exists() else None

    def directory(self) -> Iterator[Person]:
        """Return who has a folder."""
        for path in sorted(self._root.iterdir()):
            if path.is_dir() and NAME.fullmatch(path.name):
                yield _person(path.name)

    def look_up(self, handle: str) -> Person | None:
        """Return the person of that name."""
        name = handle.lower()
        return _person(name) if NAME.fullmatch(name) and (self._root / name).is_dir() else None

    def listen(self, intake: Intake) -> Sequence[Runnable]:
        """Return what reads the answers."""
        return [_Ears(self._root, intake)]

    def routes(self, intake: Intake) -> Sequence[BaseRoute]:
        """None: nothing comes over HTTP."""
        del intake
        return ()

    def check(self) -> str | None:
        """Tell whether the folder is there."""
        return None if self._root.is_dir() else f"{self._root} is no folder: set FOLDERS to one"

    def _path(self, recipient: str, message_id: str) -> Path:
        return self._root / recipient / f"{message_id}.json"

    def _write(self, recipient: str, message_id: str, content: ChatContent) -> None:
        path = self._path(recipient, message_id)
        try:
            path.parent.mkdir(exist_ok=True)
            new = path.with_suffix(".new")
            new.write_text(content.model_dump_json())
            new.replace(path)
        except OSError as error:
            raise ChatUnavailable(str(error)) from error  # nothing can be seen yet: the same call may work later


class _Ears:
    """Reads `{"text": …}` or `{"action": …, "subject": …}`: what was typed, or the button of a message."""

    name = "folder-chat"

    def __init__(self, root: Path, intake: Intake) -> None:
        self._root = root
        self._intake = intake
        self._stopping = threading.Event()

    def run(self) -> None:
        """Look for answers until told to stop."""
        while not self._stopping.wait(LOOK_EVERY):
            for path in sorted(self._root.glob("*/say/*.json")):
                self._take(path)

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping.set()

    def _take(self, path: Path) -> None:
        said = json.loads(path.read_text())
        person = path.parent.parent.name  # the folder tells who says it, never the file
        reply = ReplyReceived(
            person_id=person, text=said.get("text", ""), action=said.get("action"), subject=said.get("subject"),
            received_at=datetime.now(UTC),
        )  # fmt: skip
        try:
            self._intake.replies([Reply(derived_id("folder", f"{person}/{path.name}"), reply)])
        except Temporary:
            return  # not safe: the file stays, and is read again
        path.unlink()


def _person(name: str) -> Person:
    return Person(name, name, None, name.title(), time_zone=None, locale=None, active=True)


def from_settings(settings: Settings) -> FolderChat:
    """Entry point `folders` of `securitybot.chat`."""
    del settings
    return FolderChat(folder())
