"""What a person typed → what they mean. Pure; the words are `config/commands.yaml`."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Meaning(StrEnum):
    """Everything that a person can say to the bot."""

    HI = "hi"
    HELP = "help"
    YES = "yes"
    NO = "no"
    NOT_SURE = "not_sure"
    WRONG_PERSON = "wrong_person"
    IGNORE = "ignore"
    STOP = "stop"
    START = "start"
    STATUS = "status"
    TEST = "test"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ChatCommand:
    """A meaning with the words that followed it: the why of an answer, the arguments of a command."""

    meaning: Meaning
    rest: str = ""


class CommandWords(BaseModel):
    """One command of `config/commands.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    words: tuple[str, ...] = Field(min_length=1)
    """What people type; one or several words each."""
    help: str
    """A line for `help`."""
    hidden: bool = False
    """Shown by `help -a` only."""


class Commands(BaseModel):
    """`config/commands.yaml`: every meaning but `unknown`, each with its words."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))
    hi: CommandWords
    help: CommandWords
    yes: CommandWords
    no: CommandWords
    not_sure: CommandWords
    wrong_person: CommandWords
    ignore: CommandWords
    stop: CommandWords
    start: CommandWords
    status: CommandWords
    test: CommandWords

    @model_validator(mode="after")
    def _one_meaning_a_word(self) -> Commands:
        seen: dict[tuple[str, ...], str] = {}
        for meaning, command in self.all():
            for word in command.words:
                phrase = _phrase(word)
                if not phrase:
                    raise ValueError(f"{meaning} has {word!r} among its words, which is nothing but punctuation")
                other = seen.setdefault(phrase, meaning)
                if other != meaning:
                    raise ValueError(f"{word!r} is a word of both {other} and {meaning}")
        return self

    def all(self) -> list[tuple[Meaning, CommandWords]]:
        """Return every meaning with its words, in the order in which `help` shows them."""
        return [(Meaning(name), getattr(self, name)) for name in type(self).model_fields]

    @cached_property
    def phrases(self) -> list[tuple[tuple[str, ...], Meaning]]:
        """Every phrase with its meaning, longest first, so that "not sure" wins over a shorter one."""
        pairs = [(_phrase(word), meaning) for meaning, command in self.all() for word in command.words]
        return sorted(pairs, key=lambda pair: -len(pair[0]))


_QUOTES = str.maketrans("‘’‚‛“”„‟–—", "''''\"\"\"\"--")
_EDGE = " \t\r\n.,;:!?\"'*_`~()"


def parse(text: str, commands: Commands) -> ChatCommand:
    """Return what `text` means. Case, smart quotes and end punctuation do not matter.

    A command is the text's first word or words; "yesterday I did" is no yes.
    """
    words = text.translate(_QUOTES).split()
    bare = [_normal(word) for word in words]
    for phrase, meaning in commands.phrases:
        if tuple(bare[: len(phrase)]) == phrase:
            return ChatCommand(meaning, " ".join(words[len(phrase) :]).strip().lstrip("-,:; ").strip())
    return ChatCommand(Meaning.UNKNOWN, text.strip())


def _phrase(text: str) -> tuple[str, ...]:
    """Return the words of a configured phrase as `parse` compares them."""
    return tuple(word for word in map(_normal, text.split()) if word)


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text.translate(_QUOTES)).casefold().strip(_EDGE)
