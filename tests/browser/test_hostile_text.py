"""Text of strangers on every page in a real browser: it shows as text, and nothing in it runs.

The browser is told to ignore the pages' Content-Security-Policy, so that escaping alone has to hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from common.bus.embedded import KombuBus
from common.messages import AllowPushes
from common.records.database import create_database
from common.records.migrate import create_or_migrate
from common.topology import DISPATCHER_QUEUE, TOPOLOGY
from tests.browser.conftest import DESKTOP, Window
from tests.integration.console.conftest import House
from tests.integration.console.test_pages import furnish, paths

HOSTILE = (
    "'\"><script>window.ran=1</script><img src=x onerror=window.ran=1><svg onload=window.ran=1>"
    "<a href=javascript:window.ran=1 id=bad>x</a></title></textarea><style>body{display:none}</style>{{7*7}}"
)
INJECTED = (
    "document.querySelectorAll('img[src=x], svg[onload], #bad, script:not([src]), style, [onerror], [onload], "
    '[href^="javascript:" i]\').length'
)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """The console, signed in by itself, with hostile text in every field of its record."""
    engine = create_database(f"sqlite:///{tmp_path / 'record.db'}")
    create_or_migrate(engine)
    bus = KombuBus("memory://")
    bus.declare(TOPOLOGY)
    house = House(engine, bus, "mara")
    yield house
    house.close()
    bus.close()
    engine.dispose()


@pytest.fixture
def window(house: House, chromium: Browser) -> Iterator[Window]:
    """A browser that would run what a page lets in."""
    window = Window(chromium.new_context(viewport=DESKTOP, bypass_csp=True), house.url, "hostile")
    yield window
    window.close()


def test_what_strangers_wrote_runs_on_no_page(house: House, window: Window) -> None:
    """~10 s. A dialog or an error on a page fails it too (see `Window`)."""
    digest = furnish(house, HOSTILE)
    script = house.alert(9, url="javascript:window.ran=1", title="a link")
    shown = 0
    for path in [*paths(digest), f"/alerts/{script}"]:
        if path.endswith(".csv"):
            continue
        page = window.go(path)
        assert page.evaluate("window.ran") is None, path
        assert page.evaluate(INJECTED) == 0, path
        shown += "<script>window.ran=1</script>" in page.inner_text("body")
    assert shown >= 10, "the text has to be on the pages for this to say anything"


def test_the_probe_would_notice(house: House, window: Window) -> None:
    page = window.go("/inbox")
    page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", HOSTILE)
    page.wait_for_function("window.ran === 1")
    assert page.evaluate(INJECTED) > 0
    window.complaints.clear()  # the picture that is not there


def test_pushes_are_allowed_again_to_somebody_who_marked_one_as_fraudulent(house: House, window: Window) -> None:
    furnish(house, "text")
    page = window.go("/people/U1")
    page.get_by_text("Pushes to this person are stopped").wait_for()
    page.get_by_role("button", name="Allow pushes again").click()
    page.get_by_role("status").wait_for()
    (sent,) = [d for d in house.published(DISPATCHER_QUEUE.name) if d.type == AllowPushes.type_name()]
    assert AllowPushes.model_validate_json(sent.body) == AllowPushes(person_id="U1", analyst="analyst:mara")
