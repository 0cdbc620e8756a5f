"""Every change that an analyst can make, made with mouse and keyboard; and pages that stay fresh by themselves."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Window


def told(page: Page) -> Locator:
    return page.get_by_role("status")


def test_an_alert_is_taken_commented_and_closed(window: Window) -> None:
    page = window.go("/inbox")
    row = page.locator(".row").first
    title = row.locator(".row-title").inner_text()
    row.get_by_role("button", name="Take").click()
    expect(told(page)).to_have_text("It is yours now.")
    page.locator(".row", has_text="mara has it").locator(".row-title").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    page.get_by_label("Comment", exact=True).fill("asked the host's owner")
    page.get_by_role("button", name="Comment", exact=True).click()
    expect(page.locator(".story")).to_contain_text("asked the host's owner")
    page.get_by_label("Close it, because").fill("a drill")
    page.get_by_role("button", name="Close as incident").click()
    expect(told(page)).to_have_text("Closed 1 alert as incident.")
    expect(page.locator(".story li").last).to_contain_text("closed by mara")
    window.picture("alert closed")


def test_several_alerts_are_closed_at_once_by_keyboard(window: Window) -> None:
    page = window.go("/inbox?resolution=no_response")
    before = page.locator(".row").count()
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("[data-chosen]")).to_have_text("2 chosen")
    window.picture("inbox chosen")
    page.get_by_placeholder("Why?").fill("known maintenance")
    page.get_by_role("button", name="Close as benign").click()
    expect(told(page)).to_have_text("Closed 2 alerts as benign.")
    expect(page.locator(".row")).to_have_count(before - 2)


def test_the_inbox_and_the_tabs_title_are_fresh_without_a_reload(window: Window) -> None:
    page = window.go("/inbox")
    expect(page).to_have_title(re.compile(r"^\(\d+\) Inbox"))
    waiting = int(page.locator("[data-count]").inner_text())
    page.evaluate("window.stayed = true")
    other = page.context.new_page()
    other.goto(page.url)
    other.locator('.row input[name="alert"]').first.check()
    other.get_by_role("button", name="Close as benign").click()
    expect(told(other)).to_have_text("Closed 1 alert as benign.")
    expect(page.locator("[data-count]")).to_have_text(str(waiting - 1))
    expect(page).to_have_title(f"({waiting - 1}) Inbox · securitybot")
    expect(page.locator(".filter b").first).to_have_text(str(waiting - 1))
    assert page.evaluate("window.stayed")


def test_a_search_is_in_the_address_and_its_result_can_be_taken_away(window: Window) -> None:
    page = window.go("/alerts")
    page.keyboard.press("/")
    page.keyboard.type("berg bastion")
    page.keyboard.press("Enter")
    page.wait_for_url("**/alerts?text=berg+bastion**")
    page.get_by_text("Filters").click()
    page.get_by_label("Severity").select_option("high")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**severity=high**")
    expect(page.locator("tbody tr").first).to_be_visible()
    assert set(page.locator("tbody .severity").all_inner_texts()) == {"high"}
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 1 + page.locator("tbody tr").count()
    page.go_back()
    assert page.get_by_label("Free text").input_value() == "berg bastion"


def test_somebody_is_not_asked_for_a_while_and_then_again(window: Window) -> None:
    page = window.go("/people")
    form = page.get_by_role("form", name="Ask somebody nothing for a while")
    form.get_by_label("Person").fill("carol.berg")
    form.get_by_label("Until").fill("2027-01-31" if "2026" in page.evaluate("Date()") else page.evaluate(
        "new Date(Date.now() + 6e8).toISOString().slice(0, 10)"))  # fmt: skip
    form.get_by_label("Why").fill("moving house")
    form.get_by_role("button", name="Add").click()
    expect(told(page)).to_contain_text("carol.berg is not asked about anything until")
    page.locator("li", has_text="moving house").get_by_role("button", name="Lift").click()
    expect(told(page)).to_contain_text("Lifted")
    expect(page.locator("li", has_text="moving house")).to_have_count(0)


def test_a_title_is_not_asked_about(window: Window) -> None:
    page = window.go("/people")
    form = page.get_by_role("form", name="Do not ask somebody about one title for a while")
    form.get_by_label("Person").fill("carol.berg")
    form.get_by_label("Title").fill("MFA method added")
    form.get_by_label("Until").fill(page.evaluate("new Date(Date.now() + 6e8).toISOString().slice(0, 10)"))
    form.get_by_label("Why").fill("rolling out keys")
    form.get_by_role("button", name="Add").click()
    expect(page.locator("li", has_text="rolling out keys")).to_contain_text("by mara")


def test_a_new_alert_is_previewed_sent_and_answered_in_the_web_chat(window: Window) -> None:
    page = window.go("/chat")
    page.locator(".bubble").last.get_by_role("button", name="Yes, it was me").click()
    page.get_by_role("button", name="Send the push").click()
    page.get_by_role("button", name="Approve").click()
    expect(page.locator(".bubbles")).to_contain_text("that settles")
    page.goto(page.url.replace("/chat", "/new").partition("#")[0])
    page.get_by_label("People").fill("mara")
    page.get_by_label("Title").fill("badge used at night")
    page.get_by_label("What happened").fill("Door 4 was opened at 03:12")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".slack")).to_contain_text("Hello mara, the security team would like to check")
    window.picture("new alert preview")
    page.get_by_role("button", name="Send to 1 person").click()
    expect(page.get_by_role("heading", name="On its way")).to_be_visible()
    page.get_by_role("link", name="Chat").click()
    question = page.locator(".bubble", has_text="badge used at night").last
    question.get_by_role("textbox").fill("not in the office")
    question.get_by_role("button", name="No, it wasn't").click()
    expect(page.locator(".bubble.mine").last).to_contain_text("No: not in the office")
    expect(page.locator("#reports")).to_contain_text("badge used at night")
    window.picture("chat answered")
    page.locator('[data-go="i"]').click()
    expect(page.locator(".row", has_text="badge used at night")).to_contain_text("not in the office")


def test_a_quarantined_message_is_mended_and_another_dropped(window: Window) -> None:
    page = window.go("/quarantine")
    page.get_by_role("link", name="owner: missing").click()
    page.get_by_label("Body").fill('{"title": "sudo on db-7", "description": "sudo -i at 12:01", "owner": "mara"}')
    page.get_by_role("button", name="Send again").click()
    expect(told(page)).to_contain_text("is on its way again")
    page.get_by_role("link", name="severity: must be").click()
    page.get_by_label("Drop it, because").fill("the rule is mended")
    page.get_by_role("button", name="Drop").click()
    expect(told(page)).to_contain_text("is dropped")
    expect(page.get_by_role("heading", name="Empty")).to_be_visible()


def test_a_pictures_numbers_are_one_click_away(window: Window) -> None:
    page = window.go("/insight?days=7")
    picture = page.locator("section", has=page.get_by_role("heading", name="By title"))
    picture.locator(".numbers > summary").click()
    expect(picture.get_by_role("table")).to_be_visible()
    with page.expect_download() as download:
        picture.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename == "by-title.csv"
    assert picture.locator("tbody tr").count() > 3


def test_light_and_dark_and_help_by_keyboard(window: Window) -> None:
    page = window.go("/system")
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    window.picture("system dark")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_url("**/alerts")


def test_the_address_leads_only_from_this_machine_into_the_demo(window: Window) -> None:
    page = window.go("/inbox")
    assert "you are signed in as" in page.locator(".demo").inner_text()
