"""An analyst's browser at the console, who with the local chat is also the person that is asked."""

from __future__ import annotations

import html
import re

import httpx

from tests.waiting import eventually

ANSWER_SECONDS = 30.0


class Browser:
    """Signed in under a name."""

    def __init__(self, console: str, name: str, password: str) -> None:
        self._http = httpx.Client(base_url=console, timeout=20)
        page = self._http.get("/sign-in").text
        form = {"csrf": _hidden(page, "csrf"), "next": "/chat", "name": name, "password": password}
        answer = self._http.post("/sign-in", data=form)
        assert answer.status_code == 303, answer.text

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def conversation(self) -> str:
        """Return the chat page."""
        answer = self._http.get("/chat")
        assert answer.status_code == 200, answer.text
        return html.unescape(answer.text)

    def wait_for(self, text: str, seconds: float = ANSWER_SECONDS) -> None:
        """Wait until the bot has said it."""
        eventually(lambda: text in self.conversation(), seconds, every=0.2)

    def click(self, action: str, about: str, comment: str = "") -> None:
        """Click a button of the newest message that has it, once it is there."""
        found = eventually(lambda: self._button(action, about), ANSWER_SECONDS, every=0.2)
        assert found is not None
        page, subject = found
        form = {"csrf": _hidden(page, "csrf"), "subject": subject, "action": action, "text": comment}
        assert self._http.post("/chat", data=form).status_code == 303

    def answer_next(self, action: str, seconds: float = ANSWER_SECONDS) -> None:
        """Click a button on the open question, whichever it is, and wait until it counts as answered."""
        found = eventually(lambda: self._button(action, ""), seconds, every=0.2)
        assert found is not None
        page, subject = found
        form = {"csrf": _hidden(page, "csrf"), "subject": subject, "action": action}
        assert self._http.post("/chat", data=form).status_code == 303
        eventually(lambda: (self._button(action, "") or ("", ""))[1] != subject, seconds, every=0.2)

    def _button(self, action: str, about: str) -> tuple[str, str] | None:
        page = self.conversation()
        bubbles = [part for part in page.split("<article")[1:] if about in part and f'value="{action}"' in part]
        return (page, _hidden(bubbles[-1], "subject")) if bubbles else None


def _hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, name
    return found[1]
