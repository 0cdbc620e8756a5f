"""What Slack refuses about a message: lengths, unknown or incomplete blocks, repeated ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.fakes.slack.workspace import SlackRefuses

MOST_TEXT = 40_000
MOST_BLOCKS = 50
MOST_IN_ALL = 13_200
Block = Mapping[str, Any]


def check_message(arguments: Mapping[str, Any]) -> None:
    """Refuse what Slack refuses of `chat.postMessage` and `chat.update`."""
    text, blocks = arguments.get("text"), arguments.get("blocks")
    if not isinstance(text, str) or not text.strip():
        raise SlackRefuses("no_text")
    if len(text) > MOST_TEXT:
        raise SlackRefuses("msg_too_long")
    _check_metadata(arguments.get("metadata"))
    if blocks is not None:
        check_blocks(blocks)


def check_blocks(blocks: object) -> None:
    """Refuse blocks that Slack refuses."""
    _need(isinstance(blocks, list), "blocks must be a list")
    assert isinstance(blocks, list)
    _need(len(blocks) <= MOST_BLOCKS, "no more than 50 items allowed [json-pointer:/blocks]")
    ids = [block["block_id"] for block in blocks if isinstance(block, dict) and "block_id" in block]
    _need(len(ids) == len(set(ids)), "block_id must be unique")
    for block in blocks:
        _need(isinstance(block, dict) and block.get("type") in _BLOCKS, f"unsupported type: {block!r:.60}")
        _need(len(str(block.get("block_id", ""))) <= 255, "block_id too long")
        _BLOCKS[block["type"]](block)
    if sum(_length(block) for block in blocks) > MOST_IN_ALL:
        raise SlackRefuses("msg_blocks_too_long")


def _check_metadata(metadata: object) -> None:
    if metadata is None:
        return
    good = isinstance(metadata, dict) and isinstance(metadata.get("event_type"), str)
    if not good or not isinstance(metadata.get("event_payload"), dict):  # type: ignore[attr-defined]
        raise SlackRefuses("invalid_metadata_format")


def _need(condition: object, problem: str) -> None:
    if not condition:
        raise SlackRefuses("invalid_blocks", problem)


def _only(block: Block, *fields: str) -> None:
    unknown = set(block) - {"type", "block_id", *fields}
    _need(not unknown, f"invalid additional property: {sorted(unknown)}")


def _plain(value: object, most: int) -> None:
    _need(isinstance(value, dict) and value.get("type") == "plain_text", "must be plain_text")
    assert isinstance(value, dict)
    _only(value, "text", "emoji")
    _words(value.get("text"), most)


def _words(value: object, most: int) -> None:
    _need(isinstance(value, str) and value, "must be more than 0 characters")
    _need(len(str(value)) <= most, f"must be less than {most + 1} characters")


def _header(block: Block) -> None:
    _only(block, "text")
    _plain(block.get("text"), 150)


def _section(block: Block) -> None:
    _only(block, "text", "fields", "accessory", "expand")
    text = block.get("text")
    _need(isinstance(text, dict) and text.get("type") in ("plain_text", "mrkdwn"), "text is missing")
    assert isinstance(text, dict)
    _words(text.get("text"), 3000)


def _rich_text(block: Block) -> None:
    _only(block, "elements")
    for part in _some(block.get("elements")):
        _need(part.get("type") in ("rich_text_section", "rich_text_quote", "rich_text_preformatted"), "unknown element")
        _only(part, "elements", "border")
        for element in _some(part.get("elements")):
            if element.get("type") == "link":
                _only(element, "url", "text", "style", "unsafe")
                url = element.get("url")
                _need(isinstance(url, str) and url.startswith(("http://", "https://", "mailto:")), "invalid url")
                _words(url, 3000)
                continue
            _need(element.get("type") == "text", "unknown element")
            _only(element, "text", "style")
            _words(element.get("text"), 3000)


def _actions(block: Block) -> None:
    _only(block, "elements")
    elements = _some(block.get("elements"))
    _need(len(elements) <= 25, "no more than 25 items allowed")
    names = [element.get("action_id") for element in elements]
    _need(len(names) == len(set(names)), "action_id must be unique in a block")
    for element in elements:
        _need(element.get("type") == "button", "unknown element")
        _only(element, "action_id", "text", "value", "style", "url", "confirm", "accessibility_label")
        _words(element.get("action_id"), 255)
        _plain(element.get("text"), 75)
        _need(len(element.get("value", "")) <= 2000, "value is too long")
        _need(element.get("style", "primary") in ("primary", "danger"), "unknown style")


def _input(block: Block) -> None:
    _only(block, "label", "element", "optional", "hint", "dispatch_action")
    _plain(block.get("label"), 2000)
    element = block.get("element")
    _need(isinstance(element, dict) and element.get("type") == "plain_text_input", "unknown element")
    assert isinstance(element, dict)
    _only(element, "action_id", "multiline", "max_length", "min_length", "initial_value", "placeholder")
    _words(element.get("action_id"), 255)
    _need(1 <= int(element.get("max_length", 3000)) <= 3000, "max_length")


def _divider(block: Block) -> None:
    _only(block)


def _some(value: object) -> list[Any]:
    _need(isinstance(value, list) and value and all(isinstance(item, dict) for item in value), "elements are missing")
    return list(value)  # type: ignore[call-overload, no-any-return]


def _length(value: object) -> int:
    """Return the characters of all texts in a block."""
    if isinstance(value, dict):
        own = sum(len(value[name]) for name in ("text", "url", "value") if isinstance(value.get(name), str))
        return own + sum(_length(item) for item in value.values())
    return sum(_length(item) for item in value) if isinstance(value, list) else 0


_BLOCKS: Mapping[str, Callable[[Block], None]] = {
    "header": _header,
    "section": _section,
    "rich_text": _rich_text,
    "actions": _actions,
    "input": _input,
    "divider": _divider,
}
