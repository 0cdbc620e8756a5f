"""Pure: a `ChatContent` as Slack shows it.

Everything that anybody wrote goes out as `plain_text` or `rich_text`, which Slack never interprets; the fallback text
is escaped. Slack's limits are kept here, by cutting with an ellipsis, so that no message is refused for its length.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from common.hidden_characters import is_hidden
from common.messages import Button, ChatContent, Part

Block = dict[str, Any]

MOST_BLOCKS = 50
MOST_TEXT = 3_000
MOST_HEADING = 150
MOST_BUTTON = 75
MOST_BUTTONS = 25
MOST_VALUE = 2_000
MOST_ACTION = 255
MOST_URL = 3_000
MOST_LABEL = 150
MOST_COMMENT = 2_000
MOST_IN_ALL = 10_000
"""Of all parts; Slack refuses a message whose blocks are too long together, a little above 13,000."""
COMMENT_BLOCK = "comment"
COMMENT_ACTION = "comment_text"
_ELLIPSIS = "…"
_REPLACEMENT = "\ufffd"
_NOTHING = "\u2013"
_RICH = {"text": "rich_text_section", "quote": "rich_text_quote", "code": "rich_text_preformatted"}
_LINE_ENDS = str.maketrans({"\r": "\n", "\u2028": "\n", "\u2029": "\n", "\v": "\n", "\f": "\n", "\u0085": "\n"})


def render(content: ChatContent) -> tuple[str, list[Block]]:
    """Return the fallback text and the blocks of `content`."""
    tail = _comment(content) + _actions(content)
    blocks: list[Block] = []
    left = MOST_IN_ALL
    for part in content.parts:
        if len(blocks) + len(tail) >= MOST_BLOCKS - 1 or left <= 0:
            blocks.append(_section([_text(_ELLIPSIS)]))
            break
        block, used = _part(part, left)
        left -= used
        if block is not None:
            blocks.append(block)
    summary = cut(harmless(content.summary).strip(), MOST_TEXT) or _ELLIPSIS
    if not blocks:
        blocks.append(_section([_text(summary)]))
    return escape(summary), blocks + tail


def harmless(text: str) -> str:
    """Show hidden characters as U+FFFD; every end of a line is a line feed."""
    plain = text.replace("\r\n", "\n").translate(_LINE_ENDS)
    return "".join(_REPLACEMENT if char not in "\n\t" and is_hidden(char) else char for char in plain)


def cut(text: str, most: int) -> str:
    """Return `text` with at most `most` characters, an ellipsis in place of what is missing."""
    return text if len(text) <= most else text[: most - 1] + _ELLIPSIS


def escape(text: str) -> str:
    """Escape the three characters by which Slack's texts mention, link and notify."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _part(part: Part, left: int) -> tuple[Block | None, int]:
    """Return the block for `part` and how many characters it uses; no block for an empty part."""
    most = min(MOST_TEXT, left)
    text = cut(harmless(part.text).strip("\n"), most)
    if part.kind == "facts":
        elements = _facts(part.facts, most)
        return (_section(elements) if elements else None), sum(len(element["text"]) for element in elements)
    if part.kind == "link":
        link = _link(text, part.url or "", left)
        return _section([link]), len(link["text"]) + len(link.get("url", ""))
    if not text.strip():
        return None, 0
    if part.kind == "heading":
        heading = cut(" ".join(text.split()), MOST_HEADING)
        return {"type": "header", "text": _plain_text(heading)}, len(heading)
    return _rich_text(_RICH[part.kind], [_text(text)]), len(text)


def _facts(facts: tuple[tuple[str, str], ...], most: int) -> list[Block]:
    elements: list[Block] = []
    for label, value in facts:
        name = cut(harmless(label).strip(), MOST_HEADING)
        shown = cut(harmless(value).strip() or _NOTHING, most)
        most -= len(name) + len(shown) + 3
        if most <= 0:
            break
        start = "\n" if elements else ""
        elements += [_text(f"{start}{name}: ", bold=True), _text(shown)]
    return elements


def _link(text: str, address: str, left: int) -> Block:
    """Return a link; an address that is no sane http(s) URL, or too long, is shown as text and leads nowhere."""
    label = text.strip() or address
    if len(address) > MOST_URL or len(label) + len(address) > left or not _is_web(address):
        shown = harmless(f"{text} {address}".strip())
        return _text(cut(shown, min(MOST_TEXT, left)) or _ELLIPSIS)
    return {"type": "link", "url": address, "text": label}


def _is_web(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    sane = harmless(address) == address and not any(char.isspace() for char in address)
    return sane and parts.scheme in ("http", "https") and bool(parts.netloc)


def _comment(content: ChatContent) -> list[Block]:
    if content.comment_label is None or not content.buttons:
        return []
    field = {
        "type": "plain_text_input",
        "action_id": COMMENT_ACTION,
        "multiline": True,
        "max_length": MOST_COMMENT,
    }
    label = _plain_text(cut(harmless(content.comment_label).strip() or _ELLIPSIS, MOST_LABEL))
    return [{"type": "input", "block_id": COMMENT_BLOCK, "optional": True, "label": label, "element": field}]


def _actions(content: ChatContent) -> list[Block]:
    buttons = [_button(button, content.subject) for button in content.buttons[:MOST_BUTTONS]]
    return [{"type": "actions", "elements": buttons}] if buttons else []


def _button(button: Button, subject: str | None) -> Block:
    block: Block = {
        "type": "button",
        "action_id": button.action[:MOST_ACTION],
        "text": _plain_text(cut(harmless(button.label).strip() or _ELLIPSIS, MOST_BUTTON)),
    }
    if subject is not None:
        block["value"] = subject[:MOST_VALUE]
    if button.style is not None:
        block["style"] = button.style
    return block


def _plain_text(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _text(text: str, *, bold: bool = False) -> Block:
    return {"type": "text", "text": text} | ({"style": {"bold": True}} if bold else {})


def _section(elements: list[Block]) -> Block:
    return _rich_text("rich_text_section", elements)


def _rich_text(kind: str, elements: list[Block]) -> Block:
    return {"type": "rich_text", "elements": [{"type": kind, "elements": elements}]}
