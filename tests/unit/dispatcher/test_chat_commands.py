"""What people type and what they mean by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigurationError
from common.settings import SHIPPED_CONFIG
from common.yaml_files import load_yaml
from services.dispatcher.chat_commands import ChatCommand, Commands, Meaning, parse

SHIPPED = load_yaml(SHIPPED_CONFIG / "commands.yaml", Commands)


@pytest.mark.parametrize(
    ("text", "meaning", "rest"),
    [
        ("yes", Meaning.YES, ""),
        ("YES!", Meaning.YES, ""),
        ("  yes.  ", Meaning.YES, ""),
        ("“yes”", Meaning.YES, ""),
        ("*yes*", Meaning.YES, ""),
        ("Yes, I was patching db-7.", Meaning.YES, "I was patching db-7."),
        ("yes - it’s my job", Meaning.YES, "it's my job"),
        ("yes: my job", Meaning.YES, "my job"),
        ("It was me", Meaning.YES, ""),
        ("no", Meaning.NO, ""),
        ("It wasn’t me", Meaning.NO, ""),
        ("it was not me, I swear", Meaning.NO, "I swear"),
        ("Not sure, maybe a cron job", Meaning.NOT_SURE, "maybe a cron job"),
        ("I don’t know…", Meaning.NOT_SURE, ""),
        ("wrong person: ask bob", Meaning.WRONG_PERSON, "ask bob"),
        ("ignore last 2h", Meaning.IGNORE, "last 2h"),
        ("STOP.", Meaning.STOP, ""),
        ("start", Meaning.START, ""),
        ("Status?", Meaning.STATUS, ""),
        ("help -a", Meaning.HELP, "a"),
        ("Hi there", Meaning.HI, "there"),
        ("test", Meaning.TEST, ""),
        ("ＹＥＳ", Meaning.YES, ""),
    ],
)
def test_what_people_type_is_understood(text: str, meaning: Meaning, rest: str) -> None:
    assert parse(text, SHIPPED) == ChatCommand(meaning, rest)


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "…", "maybe", "yesterday I did", "nobody did", "yes-man", "I said yes", "stopwatch", "💥"]
)
def test_what_only_looks_like_a_command_is_none(text: str) -> None:
    assert parse(text, SHIPPED).meaning is Meaning.UNKNOWN


def test_the_longest_phrase_wins() -> None:
    words = {name: {"words": [f"word-{name}"], "help": ""} for name in Commands.model_fields}
    words |= {
        "no": {"words": ["not"], "help": ""},
        "not_sure": {"words": ["not sure"], "help": ""},
        "wrong_person": {"words": ["not sure who"], "help": ""},
    }
    commands = Commands.model_validate(words)
    assert parse("not", commands).meaning is Meaning.NO
    assert parse("not sure", commands).meaning is Meaning.NOT_SURE
    assert parse("Not sure, who?", commands).meaning is Meaning.WRONG_PERSON


def test_a_configured_phrase_matches_whatever_punctuation_it_was_written_with() -> None:
    words: dict[str, Any] = {name: {"words": [f"word-{name}"], "help": ""} for name in Commands.model_fields}
    commands = Commands.model_validate(words | {"yes": {"words": ["Yes, please!"], "help": ""}})
    assert parse("yes please", commands).meaning is Meaning.YES
    assert parse("Yes, please!", commands).meaning is Meaning.YES


@given(st.text())
def test_arbitrary_text_never_raises(text: str) -> None:
    command = parse(text, SHIPPED)
    if command.meaning is Meaning.UNKNOWN:
        assert command.rest == text.strip()


@given(
    st.sampled_from(["yes", "no", "not sure", "wrong person"]),
    st.sampled_from([" ", ", ", ": ", " - "]),
    st.lists(st.text(st.characters(categories=("L", "N")), min_size=1), max_size=6),
)
def test_the_why_is_what_follows(words: str, between: str, why: list[str]) -> None:
    command = parse(f"{words}{between}{' '.join(why)}", SHIPPED)
    assert command.meaning.value == words.replace(" ", "_")
    assert command.rest == " ".join(why)


def test_every_shipped_word_means_what_it_stands_under() -> None:
    for meaning, command in SHIPPED.all():
        for word in command.words:
            assert parse(word, SHIPPED).meaning is meaning
            assert parse(f"{word.upper()}!!", SHIPPED).meaning is meaning


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("yes", {"words": ["yes", "Stop!"], "help": "h"}, "'stop' is a word of both yes and stop"),
        ("maybe", {"words": ["maybe"], "help": "h"}, "maybe: unknown key"),
        ("yes", None, "yes: missing"),
        ("yes", {"words": ["yes"]}, "yes.help: missing"),
        ("yes", {"words": [], "help": "h"}, "yes.words: "),
        ("yes", {"words": ["?!"], "help": "h"}, "yes has '?!' among its words, which is nothing but punctuation"),
        ("yes", {"words": ["yes"], "help": "h", "hiden": True}, "yes.hiden: unknown key"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_file_and_key(
    tmp_path: Path, key: str, value: object, problem: str
) -> None:
    data = {k: v for k, v in SHIPPED.model_dump(mode="json").items() if k != key}
    data |= {key: value} if value is not None else {}
    (tmp_path / "commands.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigurationError) as error:
        load_yaml(tmp_path / "commands.yaml", Commands)
    assert f"{tmp_path / 'commands.yaml'}: " in str(error.value)
    assert problem in str(error.value)
