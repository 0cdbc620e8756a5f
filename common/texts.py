"""Every sentence that the bot says: `config/messages.yaml`, checked at start. Pure.

A text may hold the placeholders that its field names here, and no others.
"""

from __future__ import annotations

from string import Formatter
from typing import Annotated

from pydantic import BaseModel, ConfigDict, field_validator
from pydantic_core.core_schema import ValidationInfo


class Takes:
    """The placeholders that a text may hold."""

    def __init__(self, *names: str) -> None:
        self.names = frozenset(names)


_Plain = str
_Title = Annotated[str, Takes("title")]
_Titled = Annotated[str, Takes("title", "duration")]


class Texts(BaseModel):
    """`config/messages.yaml`: every key is needed."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_min_length=1)

    # the card
    question_first: Annotated[str, Takes("name", "title")]
    question_next: Annotated[str, Takes("name", "title")]
    question_ask: _Plain
    question_more: Annotated[str, Takes("count")]
    question_link: _Plain
    label_when: _Plain
    label_severity: _Plain
    label_source: _Plain
    label_comment: _Plain
    reminder: _Title
    card_yes: _Plain
    card_confirmed: _Plain
    card_confirmed_unproved: _Plain
    card_denied: _Plain
    card_not_sure: _Plain
    card_wrong_person: _Plain
    card_no_response: _Plain
    card_proof_refused: _Plain
    card_proof_denied: _Plain
    card_proof_timeout: _Plain
    card_proof_fraud: _Plain
    card_proof_unavailable: _Plain
    card_unreachable: _Plain

    # what the person is told at the end
    told_confirmed: _Title
    told_confirmed_unproved: _Title
    told_denied: _Title
    told_not_sure: _Title
    told_wrong_person: _Title
    told_no_response: _Title
    told_proof_refused: _Title
    told_proof_denied: _Title
    told_proof_timeout: _Title
    told_proof_fraud: _Title
    told_proof_unavailable: _Title

    # buttons
    button_yes: _Plain
    button_no: _Plain
    button_not_sure: _Plain
    button_wrong_person: _Plain
    button_push: _Plain
    button_no_push: _Plain
    button_approve: _Plain
    button_refuse: _Plain

    # proof
    offer_push: _Titled
    offer_push_again: _Titled
    offer_stop: _Titled
    offer_ignore: _Titled
    offer_accepted: _Plain
    offer_over: _Plain
    push_code: Annotated[str, Takes("code")]
    push_title_answer: _Title
    push_title_stop: _Plain
    push_title_ignore: _Title
    push_still_open: _Plain
    simulated_push: _Plain
    proof_still_open: _Plain

    # commands
    hello: Annotated[str, Takes("name")]
    help: _Plain
    started: _Plain
    start_refused: _Plain
    stopped: Annotated[str, Takes("duration")]
    ignored_now: _Titled
    ignore_usage: Annotated[str, Takes("longest")]
    ignore_too_long: Annotated[str, Takes("longest")]
    ignore_nothing: _Plain
    silence_refused: _Plain
    silence_dropped: _Plain
    status_nothing: _Plain
    status_open: Annotated[str, Takes("title", "waiting")]
    status_proof: _Plain
    status_waiting: Annotated[str, Takes("waiting")]
    test_title: _Plain
    test_description: _Plain
    not_understood: _Plain
    not_understood_question: _Title
    not_understood_offer: _Plain
    meant_for_another: _Title
    too_late: _Plain
    nothing_to_answer: _Plain

    # the reporting channel
    report_resolution: Annotated[str, Takes("person", "resolution", "title", "count")]
    report_many: Annotated[str, Takes("count")]
    report_fraud: Annotated[str, Takes("person")]
    report_stop: Annotated[str, Takes("person", "until", "proof")]
    report_ignore: Annotated[str, Takes("person", "title", "until", "proof")]
    report_too_late: Annotated[str, Takes("person")]
    report_start: Annotated[str, Takes("person")]
    report_silence_refused: Annotated[str, Takes("person", "purpose", "cause")]
    label_owner: _Plain
    label_said: _Plain
    label_description: _Plain
    proof_fresh: _Plain
    proof_none: _Plain

    @field_validator("*")
    @classmethod
    def _known_placeholders(cls, text: str, info: ValidationInfo) -> str:
        allowed = placeholders(str(info.field_name))
        try:
            used = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
        except ValueError as error:
            raise ValueError(f"{error} (write {{{{ and }}}} for braces)") from None
        unknown = used - allowed
        if unknown:
            may = ", ".join(f"{{{name}}}" for name in sorted(allowed)) or "no placeholder"
            raise ValueError(f"unknown placeholder {{{min(unknown)}}}; it may hold {may}")
        try:
            text.format_map(dict.fromkeys(allowed, ""))
        except (ValueError, LookupError) as error:
            raise ValueError(f"a placeholder has a conversion or format that text does not take: {error}") from None
        return text

    def render(self, key: str, **values: str) -> str:
        """Return the text `key` with its placeholders filled; `values` may be more than it holds."""
        text: str = getattr(self, key)
        return text.format_map(values)


def placeholders(key: str) -> frozenset[str]:
    """Return the placeholders that the text `key` may hold."""
    marks = Texts.model_fields[key].metadata
    return next((mark.names for mark in marks if isinstance(mark, Takes)), frozenset())
