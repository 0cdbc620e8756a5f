"""The pictures of README and docs, made from the demo: `python -m bench.console_pictures docs/pictures`."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import DESKTOP, FLAGS, PHONE, Demo
from tests.servers import find_binary

PICTURES = (
    ("console-inbox", "/inbox", DESKTOP, "light"),
    ("console-insight", "/insight", DESKTOP, "dark"),
    ("console-alert", "/alerts?resolution=denied", DESKTOP, "light"),
    ("console-chat-phone", "/chat", PHONE, "dark"),
)


def main() -> None:
    """Start a furnished demo and take them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    binary = os.environ.get("SECURITYBOT_TEST_CHROMIUM") or find_binary("chromium", "google-chrome")
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        demo = Demo(Path(scratch))
        browser = playwright.chromium.launch(executable_path=binary, headless=True, args=FLAGS)
        for name, path, viewport, scheme in PICTURES:
            page = browser.new_page(viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(demo.url + path)
            if name == "console-alert":
                page.locator("tbody a").first.click()
            page.wait_for_timeout(1500)
            page.screenshot(path=folder / f"{name}.png")
        browser.close()
        demo.close()


if __name__ == "__main__":
    main()
