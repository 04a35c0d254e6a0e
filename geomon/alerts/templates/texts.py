"""Go's `strings`: letters change one by one, and no letter becomes two."""

from __future__ import annotations

from urllib.parse import quote_plus


def upper(text: str) -> str:
    """Every letter as a capital."""
    return "".join(_single(character, character.upper()) for character in text)


def lower(text: str) -> str:
    """Every letter as a small one."""
    return "".join(_single(character, character.lower()) for character in text)


def title(text: str) -> str:
    """The first letter of every word as a capital."""
    pieces, before = [], " "
    for character in text:
        is_first = _separates(before)
        pieces.append(_single(character, character.title()) if is_first else character)
        before = character
    return "".join(pieces)


def query_escape(text: str) -> str:
    """The text as a part of a URL's query."""
    return quote_plus(text.encode("utf-8", "replace"), safe="~")


def _single(character: str, changed: str) -> str:
    return changed if len(changed) == 1 else character


def _separates(character: str) -> bool:
    if character.isascii():
        return not (character.isalnum() or character == "_")
    return character.isspace()
