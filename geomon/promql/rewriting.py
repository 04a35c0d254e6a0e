"""A query as promql-parser reads it rightly."""

from __future__ import annotations

import re

from geomon.promql.errors import PromQLError
from geomon.promql.pieces import PIECE

_BETWEEN_DIGITS = re.compile(r"(?<=[0-9a-fA-FxX])_(?=[0-9a-fA-F])")
_ZERO_FIRST = re.compile(r"0\d*[eE][-+]?\d+")
_ESCAPE = re.compile(r"(?P<bytes>(?:\\(?:x[0-9a-fA-F]{2}|[0-7]{3}))+)|\\.", re.DOTALL)

PLUS = 0.3718290465310927
"""Marks a sign `+`: a number that nobody raises to a power."""


def for_parser(text: str) -> str:
    """The query, with the same meaning for the parser as for Prometheus.

    Raw strings become quoted ones, as it takes their backslashes for escapes; escaped bytes
    become the characters that they are in UTF-8; digits lose the `_` between them; `0e3` is no
    octal number.

    Raises:
        PromQLError: If a number is too large, or a string is not UTF-8.
    """
    return PIECE.sub(_rewritten, text)


def with_plus(text: str) -> str:
    """The query with `PLUS ^` for each sign `+`, which the parser forgets and does not check.

    `^` binds as a sign does there: tighter than all other operators, and to the right. The sign of
    a time after `@` stays.
    """
    before = "operator"

    def marked(piece: re.Match[str]) -> str:
        nonlocal before
        if piece[0].startswith("#"):
            return piece[0]
        is_sign = piece[0] == "+" and before in ("operator", "open", "comma")
        before = "@" if piece[0] == "@" else piece.lastgroup or "word"
        return f"{PLUS!r} ^ " if is_sign else piece[0]

    return PIECE.sub(marked, text)


def _rewritten(piece: re.Match[str]) -> str:
    written = piece[0]
    if piece.lastgroup == "raw":
        inner = written[1:-1].replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        return f'"{inner}"'
    if piece.lastgroup == "quoted":
        return _ESCAPE.sub(_character, written)
    if piece.lastgroup == "number":
        digits = _BETWEEN_DIGITS.sub("", written)
        if _value(digits) == float("inf"):
            raise PromQLError(f"the number {written} is too large", piece.start())
        return repr(_value(digits)) if _ZERO_FIRST.fullmatch(digits) else digits
    return written


def _character(escape: re.Match[str]) -> str:
    if escape["bytes"] is None:
        return escape[0]
    codes = escape["bytes"].split("\\")[1:]
    try:
        data = bytes(int(code[1:], 16) if code[0] == "x" else int(code, 8) for code in codes)
        return "".join(f"\\U{ord(character):08x}" for character in data.decode())
    except ValueError:  # Go's strings may hold any bytes; label names and values are UTF-8
        raise PromQLError(f"the bytes {escape[0]} are not UTF-8") from None


def _value(digits: str) -> float | None:
    try:
        return float(digits)
    except ValueError:  # hexadecimal, or a duration
        return None
