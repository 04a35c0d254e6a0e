"""A JSON line in which no character ends a line, or turns the direction of what follows."""

from __future__ import annotations

import re

_ODD = re.compile(
    "[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]"
)


def escaped(line: bytes) -> bytes:
    r"""The same JSON, with DEL, C1 controls, line separators and bidi controls as `\uXXXX`.

    The other control characters are escaped by every JSON encoder.
    """
    if line.isascii():
        return line.replace(b"\x7f", rb"\u007f") if b"\x7f" in line else line
    text = line.decode()
    return _ODD.sub(_escape, text).encode() if _ODD.search(text) else line


def valid(text: str) -> str:
    r"""The text with lone surrogates, which UTF-8 does not have, written out: `\ud800`."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
