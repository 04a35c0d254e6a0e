"""Texts in quotes, as Go's `%q` writes them."""

from __future__ import annotations

_SIMPLE = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
}


def quote(text: str, ascii_only: bool = False) -> str:
    """The text in double quotes."""
    return '"' + "".join(_escaped(character, '"', ascii_only) for character in text) + '"'


def quote_rune(character: str, ascii_only: bool = False) -> str:
    """One character in single quotes."""
    return f"'{_escaped(character, chr(39), ascii_only)}'"


def _escaped(character: str, mark: str, ascii_only: bool) -> str:
    if character == mark:
        return "\\" + mark
    if character in _SIMPLE:
        return _SIMPLE[character]
    if character.isprintable() and (character.isascii() or not ascii_only):
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
