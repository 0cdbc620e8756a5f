"""How messages are laid out: plain text only, buttons that say the same as words, cards that show where they stand."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.alerts import Alert, Resolution
from common.messages import Part
from services.chat_gateway.slack.blocks import render
from services.dispatcher.chat_commands import Meaning, parse
from services.dispatcher.conversation import ANSWERS, SIMULATED_PUSH
from services.dispatcher.conversation_state import REASON_SHOWN, AskedAlert, Question
from services.dispatcher.wording import Told
from tests.unit.dispatcher.test_chat_commands import SHIPPED as COMMANDS
from tests.unit.dispatcher.world import OFFICE, START, WORDING, asked_alert

BERLIN = ZoneInfo("Europe/Berlin")
HOSTILE = "<!channel> *bold* {name} <https://evil.example|your bank> `x`\n> quote"


def question(count: int = 1, **fields: str) -> Question:
    alert = asked_alert(1).model_copy(update=fields)
    return Question(
        id="q1", message_id="m1", sequence=1, first=alert, count=count, severity=alert.severity, asked_at=START,
        deadline=START, remind_at=None,
    )  # fmt: skip


def text_of(parts: tuple[Part, ...]) -> str:
    return "\n".join(part.text or str(part.facts) for part in parts)


def test_a_card_asks_with_four_buttons_a_field_for_the_why_and_the_questions_id() -> None:
    card = WORDING.question(question(), "Alice", BERLIN, "first")
    assert [button.action for button in card.buttons] == ["yes", "no", "not_sure", "wrong_person"]
    assert [button.style for button in card.buttons] == ["primary", "danger", None, None]
    assert card.comment_label
    assert card.subject == "q1"
    assert card.summary.startswith("Hello Alice")


def test_the_next_card_begins_otherwise() -> None:
    assert WORDING.question(question(), "Alice", BERLIN, "next").summary.startswith("One more thing, Alice")


def test_times_are_shown_by_the_persons_own_clock() -> None:
    card = WORDING.question(question(), "Alice", BERLIN, "first")
    facts = dict(next(part.facts for part in card.parts if part.kind == "facts"))
    assert facts["When"] == "2026-03-03 13:00 CET"


def test_one_alert_is_one_and_thirteen_are_one_and_12_more() -> None:
    assert "more like it" not in text_of(WORDING.question(question(), "Alice", BERLIN, "first").parts)
    storm = question(13)
    assert "and 12 more like it" in text_of(WORDING.question(storm, "Alice", BERLIN, "first").parts)
    assert "and 12 more like it" in text_of(WORDING.answered(storm, BERLIN, "card_denied").parts)


@pytest.mark.parametrize("resolution", [*Resolution, None])
def test_an_answered_card_has_no_buttons_and_says_what_came_of_it(resolution: Resolution | None) -> None:
    key = f"card_{resolution}" if resolution else "card_yes"
    if key in ("card_unknown_owner", "card_blacklisted", "card_ignored"):
        return  # nobody was asked
    card = WORDING.answered(question(), BERLIN, key)
    assert card.buttons == ()
    assert card.comment_label is None
    assert card.subject is None
    assert card.parts[-1].text == card.summary == WORDING.texts.render(key)


def test_reason_and_link_are_shown_where_there_are_some() -> None:
    card = WORDING.question(question(reason="sudo -i", url="https://siem.example/1"), "Alice", BERLIN, "first")
    assert ("quote", "sudo -i") in [(part.kind, part.text) for part in card.parts]
    assert [part.url for part in card.parts if part.kind == "link"] == ["https://siem.example/1"]
    kinds = {part.kind for part in WORDING.question(question(), "Alice", BERLIN, "first").parts}
    assert not kinds & {"quote", "link"}


def test_a_long_reason_is_cut_with_an_ellipsis() -> None:
    alert = Alert(
        hash="a" * 64, owner="alice", title="t", description="d", reason="x" * 16_000, source="s",
        event_time=START, received_at=START,
    )  # fmt: skip
    reason = AskedAlert.of(alert).reason
    assert reason is not None
    assert len(reason) == REASON_SHOWN
    assert reason.endswith("x…")


@given(st.text(min_size=1) | st.just(HOSTILE))
def test_what_strangers_wrote_goes_out_as_it_is_in_parts_that_are_plain_text(text: str) -> None:
    card = WORDING.question(question(title=text, description=text), text, OFFICE.zone, "first")
    assert ("heading", text) in [(part.kind, part.text) for part in card.parts]
    assert ("text", text) in [(part.kind, part.text) for part in card.parts]
    report = WORDING.report(question(title=text, description=text).first, Resolution.DENIED, text, text, count=1)
    facts = dict(next(part.facts for part in report.parts if part.kind == "facts"))
    assert facts["Who"] == text
    assert facts["Their words"] == facts["What"] == " ".join(text.split()), "on one line: it looks like no other fact"
    assert list(facts)[-1] == "Their words"


def test_a_report_says_who_what_how_many_and_their_words() -> None:
    report = WORDING.report(asked_alert(1), Resolution.WRONG_PERSON, "Alice (alice)", "", count=3)
    assert report.summary == "Alice (alice): wrong person: sudo (3)"
    assert "Their words" not in dict(next(part.facts for part in report.parts if part.kind == "facts"))
    assert report.buttons == ()


WORDS = st.text(max_size=700) | st.just(HOSTILE)
REPORTS = st.lists(st.tuples(WORDS, WORDS, st.none() | st.integers(10, 2000)), min_size=1, max_size=30)


def a_report(number: int, title: str, said: str, url: int | None) -> Told:
    alert = asked_alert(number).model_copy(
        update={"title": f"{number}: {title}", "url": url and f"https://siem.example/{'x' * url}"}
    )
    return Told(WORDING.report(alert, Resolution.DENIED, "Alice (alice)", said, count=1), f"{number:064x}")


@given(REPORTS)
def test_reports_that_are_told_together_are_all_to_be_seen_in_slack(given: list[tuple[str, str, int | None]]) -> None:
    reports = [a_report(number, *fields) for number, fields in enumerate(given, 100)]
    told = 0
    while told < len(reports):
        content, count = WORDING.together(reports[told:])
        _, blocks = render(content)
        shown = json.dumps(blocks)
        assert count >= 1
        assert len(blocks) == len(content.parts) <= 50
        assert all(f"denied: {100 + number}:" in shown for number in range(told, told + count))
        if count > 1:
            assert content.summary == f"{count} reports in one, the most urgent first:"
            assert all("…" not in part.text or len(part.text) > 400 for part in content.parts if "…" not in str(given))
        told += count


def test_a_report_among_others_has_its_facts_its_alerts_id_and_its_link_and_cannot_look_like_two() -> None:
    first = a_report(1, "sudo", "not me\n• Bob (bob): denied: nothing to see", 10)
    content, count = WORDING.together([first, a_report(2, "log-in", "", None)])

    assert count == 2
    assert [part.kind for part in content.parts] == ["text", "text", "link", "text"]
    assert content.parts[1].text.splitlines() == [
        "• Alice (alice): denied: 1: sudo (1)",
        "0" * 12 + " · Severity: medium · What: somebody did it · "
        "Their words: not me • Bob (bob): denied: nothing to see",
    ]
    assert content.parts[3].text.splitlines()[1] == f"{'0' * 12} · Severity: medium · What: somebody did it"


def test_however_long_the_persons_words_are_the_facts_of_a_report_are_to_be_seen() -> None:
    forged = "ok · Severity: low · What: a test · 0123456789ab" + "." * 2000
    content, _ = WORDING.together([a_report(1, "sudo", forged, None), a_report(2, "log-in", "", None)])
    line = content.parts[1].text.splitlines()[1]
    assert line.startswith(f"{'0' * 12} · Severity: medium · What: somebody did it · Their words: ok")
    assert len(line) < 400


def test_one_report_stays_as_it_is() -> None:
    report = a_report(1, "sudo", "", None)

    assert WORDING.together([report]) == (report.content, 1)


def test_every_button_that_is_ever_shown_is_understood_and_says_what_its_word_says() -> None:
    shown = {button.action for button in WORDING.question(question(), "A", BERLIN, "first").buttons}
    assert shown == set(ANSWERS)
    for action in shown:
        assert parse(action.replace("_", " "), COMMANDS).meaning is Meaning(action)
    offer = WORDING.plain("offer_push", {}, ("push", "no_push"), "o1")
    assert [button.label for button in offer.buttons] == ["Send the push", "No push"]
    assert offer.subject == "o1"
    simulated = WORDING.plain("simulated_push", {}, SIMULATED_PUSH, "r1")
    assert [button.style for button in simulated.buttons] == ["primary", "danger"]
