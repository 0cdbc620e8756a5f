"""Posts events as Slack does over HTTP: signed, and again when they are not answered with success."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import threading
import time
from urllib.parse import urlsplit

RETRIES = 30
"""Slack tries three times more, over an hour; tries that come so quickly have to be more."""


class EventsPoster:
    """`url` set: events go there instead of to the socket."""

    def __init__(self, secret: str, retry_after: float = 0.2) -> None:
        self.url: str | None = None
        self.statuses: list[int] = []
        self._secret = secret
        self._retry_after = retry_after

    def signed(self, body: str, at: float | None = None) -> dict[str, str]:
        """Return the headers of a request signed at the given time."""
        stamp = str(int(time.time() if at is None else at))
        digest = hmac.new(self._secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}

    def post(self, path: str, body: str, *, form: bool = False) -> None:
        """Deliver in the background, with Slack's retries."""
        threading.Thread(target=self._deliver, args=(path, body, form), daemon=True).start()

    def _deliver(self, path: str, body: str, form: bool) -> None:
        content_type = "application/x-www-form-urlencoded" if form else "application/json"
        for attempt in range(RETRIES + 1):
            more = {"X-Slack-Retry-Num": str(attempt)} if attempt else {}
            status = self._post(path, body, {**self.signed(body), **more, "Content-Type": content_type})
            self.statuses.append(status)
            if 200 <= status < 300:
                return
            time.sleep(self._retry_after)

    def _post(self, path: str, body: str, headers: dict[str, str]) -> int:
        address = urlsplit(self.url or "")
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=3)
        try:
            connection.request("POST", path, body, headers)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()
