"""The fake Slack as a process of its own: `python -m tests.fakes.slack --port 9999`.

Prints one JSON line with its addresses and tokens, then runs until it is ended. Helpers: `POST /_control/<helper>`.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading

from tests.fakes.slack.server import FakeSlack


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--events-url", help="deliver events there over signed HTTP instead of Socket Mode")
    options = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with FakeSlack(options.port) as fake:
        fake.poster.url = options.events_url
        print(json.dumps({  # noqa: T201 - how the caller learns the addresses
            "api_url": fake.api_url, "bot_token": fake.bot_token, "app_token": fake.app_token,
            "signing_secret": fake.signing_secret,
        }))  # fmt: skip
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    main()
