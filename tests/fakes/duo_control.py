"""The fake Duo as a process of its own, with a plain HTTP port through which tests of other processes control it.

`GET /pushes`, `GET /state`, `POST /users` (fields of `User`), `POST /answer` (`who`, `status`), `POST /fail` (`path`,
`mode`, `times`), `POST /heal`; JSON in and out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import threading
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fakes.duo import FakeDuo


def control(fake: FakeDuo, call: str, fields: dict[str, Any]) -> Any:
    """Do what one request to the control port asks for."""
    match call:
        case "GET /pushes":
            return [asdict(push) | {"code": fake.code_of(push.txid)} for push in list(fake.pushes)]
        case "GET /state":
            return {"calls": len(fake.calls), "open_polls": fake.open_polls, "settings": fake.settings()}
        case "POST /users":
            return fake.add_user(**fields)
        case "POST /answer":
            return fake.answer(fields["who"], fields["status"])
        case "POST /fail":
            return fake.fail_next(fields["path"], fields["mode"], fields.get("times", 1))
        case "POST /heal":
            return fake.heal()
    raise KeyError(call)


class _Control(BaseHTTPRequestHandler):
    fake: FakeDuo

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        try:
            status, answer = 200, control(self.fake, f"{self.command} {self.path}", json.loads(body or b"{}"))
        except (KeyError, TypeError, ValueError) as error:
            status, answer = 400, {"error": repr(error)}
        encoded = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    do_GET = do_POST = _do  # noqa: N815 - the base class's names

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until SIGTERM or SIGINT; the first line on standard output is JSON with ports, keys and the CA's file."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.duo", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--ca-file", help="where to write the CA's certificate too")
    parser.add_argument("--poll-seconds", type=float, default=60.0)
    parser.add_argument("--push-seconds", type=float, default=60.0)
    given = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with FakeDuo(poll_seconds=given.poll_seconds, push_seconds=given.push_seconds, port=given.port) as fake:
        if given.ca_file:
            shutil.copyfile(fake.ca_file, given.ca_file)
        server = ThreadingHTTPServer(("127.0.0.1", given.control_port), type("Control", (_Control,), {"fake": fake}))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(json.dumps({"control_port": server.server_port, "settings": fake.settings()}), flush=True)  # noqa: T201
        stopped.wait()
        server.shutdown()
        server.server_close()
