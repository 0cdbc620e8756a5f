"""The demo as a process, a real Chromium, and pictures of every page as artefacts."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from bench.console_seed import seed
from common.records.database import create_database
from common.records.migrate import migrate
from tests.conftest import unavailable
from tests.servers import find_binary, free_port

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
ARTEFACTS = Path(os.environ.get("SECURITYBOT_TEST_ARTEFACTS", "build/screenshots"))
ALERTS = 1500
START_SECONDS = 120
DESKTOP, PHONE = ViewportSize(width=1320, height=860), ViewportSize(width=390, height=844)
expect.set_options(timeout=20_000)


class Demo:
    """`securitybot demo` with a furnished record; its person is whoever runs the tests."""

    def __init__(self, folder: Path) -> None:
        self.database = f"sqlite:///{folder / 'demo.db'}"
        engine = create_database(self.database)
        migrate(engine)
        seed(engine, ALERTS, 40, random.Random(11), datetime.now(UTC))
        engine.dispose()
        self.url = f"http://127.0.0.1:{free_port()}"
        self.lines: SimpleQueue[str] = SimpleQueue()
        self._process = subprocess.Popen(
            [str(Path(sys.executable).with_name("securitybot")), "demo"],
            env=os.environ | {"SECURITYBOT_DATABASE_URL": self.database,
                              "SECURITYBOT_HTTP_PORT": self.url.rpartition(":")[2], "USER": "mara", "LOGNAME": "mara"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        while "Was this you" not in self.lines.get(timeout=START_SECONDS):
            continue

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.put(line)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join(5)
            assert self._process.stdout is not None
            self._process.stdout.close()


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demo for all tests of this folder: they leave each other's alerts alone."""
    demo = Demo(tmp_path_factory.mktemp("demo"))
    yield demo
    demo.close()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The system's Chromium, gone after this folder's tests.

    Playwright keeps an event loop running in the main thread for as long, and no other can run there meanwhile.
    """
    binary = os.environ.get("SECURITYBOT_TEST_CHROMIUM") or find_binary("chromium", "chromium-browser", "google-chrome")
    if binary is None:
        unavailable("chromium is missing: `apt-get install chromium`, or set SECURITYBOT_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, headless=True, args=FLAGS)
        yield browser
        browser.close()


class Window:
    """A browser window; whatever the page complains about fails the test at its end."""

    def __init__(self, context: BrowserContext, url: str, name: str) -> None:
        self._context, self._url, self._name = context, url, name
        context.set_default_timeout(30_000)
        self.complaints: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))

    def go(self, path: str) -> Page:
        self.page.goto(self._url + path, wait_until="load")
        return self.page

    def picture(self, name: str) -> None:
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        safe = re.sub(r"[^a-z0-9]+", "-", f"{name} {self._name}".lower()).strip("-")
        self.page.screenshot(path=ARTEFACTS / f"{safe}.png")

    def close(self) -> None:
        self._context.close()
        assert self.complaints == []


@pytest.fixture
def window(demo: Demo, chromium: Browser) -> Iterator[Window]:
    """A window on a desk, light."""
    window = Window(chromium.new_context(viewport=DESKTOP, color_scheme="light"), demo.url, "desktop light")
    yield window
    window.close()


@pytest.fixture(params=["desktop light", "phone dark"])
def each_window(request: pytest.FixtureRequest, demo: Demo, chromium: Browser) -> Iterator[Window]:
    """A window on a desk in light, and on a phone in dark colours."""
    phone = request.param == "phone dark"
    context = chromium.new_context(
        viewport=PHONE if phone else DESKTOP, color_scheme="dark" if phone else "light", has_touch=phone
    )
    window = Window(context, demo.url, request.param)
    yield window
    window.close()
