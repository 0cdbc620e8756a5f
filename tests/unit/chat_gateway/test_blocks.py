"""What Slack is shown: never interpreted, never refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages import Button, ChatContent, Part
from services.chat_gateway.slack.blocks import MOST_BLOCKS, MOST_TEXT, harmless, render
from tests.fakes.slack.checks import check_message
from tests.fakes.slack.workspace import Object

texts = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="<>&!@#*_`~|\u202e\u200b\n\t\r \U000e0041", max_size=60),
    st.text(min_size=1, max_size=3).map(lambda text: text * 3_000),
)
urls = st.one_of(st.none(), texts, st.just("https://example.com/a?b=c"), st.just("javascript:alert(1)"))
parts = st.builds(
    Part,
    kind=st.sampled_from(["text", "heading", "quote", "code", "link", "facts"]),
    text=texts,
    url=urls,
    facts=st.lists(st.tuples(texts, texts), max_size=4).map(tuple),
)
buttons = st.lists(
    st.builds(
        Button,
        action=st.text(alphabet="abcdefgh_", min_size=1, max_size=300),
        label=texts,
        style=st.sampled_from([None, "primary", "danger"]),
    ),
    max_size=30,
    unique_by=lambda button: button.action[:255],
)
contents = st.builds(
    ChatContent,
    summary=texts,
    parts=st.lists(parts, max_size=8).map(tuple),
    buttons=buttons.map(tuple),
    comment_label=st.one_of(st.none(), texts),
    subject=st.one_of(st.none(), st.text(max_size=64)),
)


def shown(content: ChatContent) -> str:
    return json.dumps(render(content)[1], ensure_ascii=False)


def a_part(text: str, kind: str = "text") -> ChatContent:
    return ChatContent(summary="s", parts=(Part.model_validate({"kind": kind, "text": text}),))


@given(contents)
def test_slack_refuses_no_message_whatever_its_texts(content: ChatContent) -> None:
    text, blocks = render(content)
    check_message({"text": text, "blocks": blocks})
    json.dumps(blocks, ensure_ascii=False).encode()


@given(contents)
def test_nothing_is_sent_as_markup(content: ChatContent) -> None:
    text, blocks = render(content)
    assert "mrkdwn" not in {value for block in blocks for value in kinds(block)}
    assert "<" not in text
    assert ">" not in text


def kinds(value: object) -> list[object]:
    if isinstance(value, dict):
        own = [value["type"]] if "type" in value else []
        return own + [kind for item in value.values() for kind in kinds(item)]
    return [kind for item in value for kind in kinds(item)] if isinstance(value, list) else []


def test_a_mention_in_the_fallback_text_notifies_nobody() -> None:
    text, _ = render(ChatContent(summary="<!channel> & <@U1>"))
    assert text == "&lt;!channel&gt; &amp; &lt;@U1&gt;"


def test_a_mention_in_a_part_stays_text() -> None:
    [block] = render(a_part("<!channel> *bold*"))[1]
    assert block["elements"][0]["elements"] == [{"type": "text", "text": "<!channel> *bold*"}]


@pytest.mark.parametrize("char", ["\u202e", "\u200b", "\u2066", "\x00", "\x1b", "\ufeff", "\ud800", "\U000e0041"])
def test_what_is_invisible_or_turns_text_round_is_shown(char: str) -> None:
    assert harmless(f"a{char}b") == "a\ufffdb"


def test_line_ends_of_every_kind_are_line_ends() -> None:
    assert harmless("a\r\nb\rc\u2028d\te") == "a\nb\nc\nd\te"


@pytest.mark.parametrize(
    ("kind", "block"),
    [("text", "rich_text_section"), ("quote", "rich_text_quote"), ("code", "rich_text_preformatted")],
)
def test_each_kind_of_part_has_its_look(kind: str, block: str) -> None:
    assert render(a_part("words", kind))[1][0]["elements"][0]["type"] == block


def test_a_heading_is_a_header_of_one_line() -> None:
    [block] = render(a_part("two\nlines", "heading"))[1]
    assert block == {"type": "header", "text": {"type": "plain_text", "text": "two lines", "emoji": False}}


def test_a_long_text_ends_with_an_ellipsis() -> None:
    [block] = render(a_part("x" * 5_000))[1]
    text = block["elements"][0]["elements"][0]["text"]
    assert len(text) == MOST_TEXT
    assert text.endswith("…")


def test_facts_are_label_and_value_a_line() -> None:
    content = ChatContent(summary="s", parts=(Part(kind="facts", facts=(("Host", "db-7"), ("User", ""))),))
    elements = render(content)[1][0]["elements"][0]["elements"]
    assert "".join(element["text"] for element in elements) == "Host: db-7\nUser: \u2013"
    assert [bool(element.get("style")) for element in elements] == [True, False, True, False]


def test_a_web_address_is_a_link() -> None:
    content = ChatContent(summary="s", parts=(Part(kind="link", text="Runbook", url="https://example.com/r"),))
    [element] = render(content)[1][0]["elements"][0]["elements"]
    assert element == {"type": "link", "url": "https://example.com/r", "text": "Runbook"}


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://", "https://a b/", "file:///etc", "http://[", None])
def test_any_other_address_is_only_text(url: str | None) -> None:
    content = ChatContent(summary="s", parts=(Part(kind="link", text="Runbook", url=url),))
    assert '"link"' not in shown(content)
    assert "Runbook" in shown(content)


def test_buttons_carry_what_a_click_means_and_about_what() -> None:
    content = ChatContent(summary="s", buttons=(Button(action="yes", label="Yes, me", style="primary"),), subject="q-1")
    assert render(content)[1][-1] == {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": "yes",
                "value": "q-1",
                "style": "primary",
                "text": {"type": "plain_text", "text": "Yes, me", "emoji": False},
            }
        ],
    }


def test_the_comment_field_stands_above_the_buttons() -> None:
    content = ChatContent(summary="s", buttons=(Button(action="yes", label="Yes"),), comment_label="Why?")
    assert [block["type"] for block in render(content)[1]] == ["rich_text", "input", "actions"]
    field: Object = render(content)[1][1]
    assert field["optional"] is True
    assert field["element"]["multiline"] is True


def test_a_message_of_too_many_parts_is_cut_and_keeps_its_buttons() -> None:
    many = tuple(Part(kind="text", text=f"part {number}") for number in range(80))
    _, blocks = render(ChatContent(summary="s", parts=many, buttons=(Button(action="yes", label="Yes"),)))
    assert len(blocks) <= MOST_BLOCKS
    assert blocks[-1]["type"] == "actions"
    assert "…" in json.dumps(blocks[-2], ensure_ascii=False)


def test_an_empty_message_shows_its_summary() -> None:
    assert "only this" in shown(ChatContent(summary="only this", parts=(Part(kind="text", text=" \n"),)))
