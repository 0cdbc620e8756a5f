"""Every page in a real browser: it fits, it is accessible, and its picture is kept."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

from tests.browser.conftest import Window

PAGES = {
    "inbox": "/inbox",
    "alerts": "/alerts?status=closed",
    "people": "/people",
    "person": "/people/U00003",
    "new alert": "/new",
    "quarantine": "/quarantine",
    "quarantined": "/quarantine/1",
    "insight": "/insight",
    "system": "/system",
    "chat": "/chat",
    "sign in": "/sign-in",
    "not found": "/nowhere",
}
SERIOUS = ("serious", "critical")


def check(window: Window, name: str) -> None:
    """Look at the page that is open."""
    page = window.page
    window.picture(name)
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert too_wide <= 0, f"{name} is {too_wide} pixels wider than the screen"
    found = Axe().run(page)
    serious = [
        f"{v['id']}: {v['help']}: {[node['target'] for node in v['nodes']][:3]}"
        for v in found.response["violations"]
        if v["impact"] in SERIOUS
    ]
    assert serious == [], name


@pytest.mark.parametrize("name", PAGES)
def test_the_page_fits_and_is_accessible(each_window: Window, name: str) -> None:
    each_window.go(PAGES[name])
    check(each_window, name)
    if name == "not found":
        each_window.complaints.clear()  # the browser calls a 404 an error of its own


def test_one_alert_fits_and_is_accessible(each_window: Window) -> None:
    page = each_window.go("/alerts?resolution=denied")
    page.locator("tbody a").first.click()
    page.get_by_role("heading", name="Story").wait_for()
    check(each_window, "alert")


def test_the_documentation_of_the_api_shows_under_the_strict_policy(window: Window) -> None:
    page = window.go("/api/docs")
    page.get_by_text("/v1/alerts", exact=True).first.wait_for()
    window.picture("api docs")
