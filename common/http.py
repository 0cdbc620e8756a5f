"""The HTTP side of every process: health, readiness, metrics, and whatever routes its services add."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from common import metrics
from common.errors import ConfigurationError

Check = Callable[[], str | None]
"""Returns None when all is well, otherwise what is wrong in a few words."""

START_SECONDS = 10.0


def create_app(checks: Mapping[str, Check], routes: Sequence[BaseRoute] = ()) -> Starlette:
    """Return the application: `/healthz` (alive), `/readyz` (can work; 503 with the causes otherwise), `/metrics`."""

    def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    def readyz(_: Request) -> Response:
        problems = {name: problem for name, check in checks.items() if (problem := check())}
        if problems:
            return JSONResponse({"status": "not ready", "problems": problems}, status_code=503)
        return JSONResponse({"status": "ready"})

    def show_metrics(_: Request) -> Response:
        for name, check in checks.items():
            metrics.READY.labels(name).set(check() is None)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    own = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", show_metrics)]
    return Starlette(routes=[*own, *routes])


class HttpServer:
    """uvicorn on a thread of its own, so that the main thread can wait for signals."""

    def __init__(self, app: Starlette, host: str, port: int) -> None:
        self._host = host
        self._address = f"{host}:{port}"
        config = uvicorn.Config(
            app, host=host, port=port, log_config=None, access_log=False, server_header=False, date_header=False,
            timeout_graceful_shutdown=5, lifespan="off", ws="none", http="h11", loop="asyncio",
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    def start(self) -> None:
        """Listen; returns once connections are taken.

        Raises:
            ConfigurationError: the address is taken or not ours.
        """
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise ConfigurationError(
                    f"cannot listen on {self._address}; set SECURITYBOT_HTTP_PORT (and SECURITYBOT_HTTP_HOST) to a "
                    "free address"
                )
            self._thread.join(0.01)

    @property
    def address(self) -> str:
        """The URL on which it listens; the port that the system chose, where 0 was asked for."""
        socket = self._server.servers[0].sockets[0]
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{socket.getsockname()[1]}"

    def stop(self) -> None:
        """Finish open requests and close."""
        self._server.should_exit = True
        self._thread.join(10)

    def _serve(self) -> None:
        try:
            self._server.run()
        except SystemExit:
            return  # uvicorn has logged why it cannot listen; `start` tells what to do
