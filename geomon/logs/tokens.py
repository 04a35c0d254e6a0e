"""The words of a `where` expression, each with its place."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

MAX_TEXT = 4096
"""How many characters an expression may have."""

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.]))
    | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<word>[^\W\d][\w@-]*(?:\.[\w@-]+)*|@[\w@-]+)
    | (?P<operator>==|!=|<=|>=|!~|[<>~(),])
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = frozenset(("and", "or", "not", "in"))
_CONSTANTS = {
    "true": True,
    "false": False,
    "null": None,
    "True": True,
    "False": False,
    "None": None,
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "'": "'", "\\": "\\"}
_MEANT = {
    "=": "write == to compare",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`, or !=",
    '"': "the text has no closing quote",
    "'": "the text has no closing quote",
}


class WhereError(ValueError):
    """An expression that cannot be read.

    Args:
        text: The expression.
        at: Where it goes wrong: an index into `text`.
        says: What should stand there instead.
    """

    def __init__(self, text: str, at: int, says: str) -> None:
        around = text[max(0, at - 30) : at] + "⟨here⟩" + text[at : at + 30]
        super().__init__(f"where, character {at + 1}: {says}: {around}")
        self.at = at


class Token(NamedTuple):
    """One word: `kind` is a literal's or field's kind, else the word or sign itself."""

    kind: str
    value: Any
    at: int


def tokens(text: str) -> list[Token]:
    """The words of `text`; the last one has the kind `end`.

    Raises:
        WhereError: Something is no word of the language, or the text is too long.
    """
    if not isinstance(text, str):
        raise WhereError(repr(text)[:60], 0, "an expression is a text")
    if len(text) > MAX_TEXT:
        raise WhereError(text, MAX_TEXT, f"an expression has at most {MAX_TEXT} characters")
    found: list[Token] = []
    at = 0
    while not found or found[-1].kind != "end":
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unknown(text, at)
        found.append(_token(match))
        at = match.end()
    return found


def _unknown(text: str, at: int) -> WhereError:
    at += len(text[at:]) - len(text[at:].lstrip())
    return WhereError(text, at, _MEANT.get(text[at], "this is no field, number, text or sign"))


def _token(match: re.Match[str]) -> Token:
    kind = str(match.lastgroup)
    value, at = match.group(kind), match.start(kind)
    if kind == "number":
        return Token(kind, int(value) if value.lstrip("-").isdecimal() else float(value), at)
    if kind == "string":
        return Token(kind, _unescaped(value[1:-1]), at)
    if kind == "operator" or value in _WORDS:
        return Token(value, value, at)
    if value in _CONSTANTS:
        return Token("constant", _CONSTANTS[value], at)
    return Token("field" if kind == "word" else kind, value, at)


def _unescaped(text: str) -> str:
    r"""Other backslashes stay, so that `"\d+"` is the pattern that it looks like."""
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), text, flags=re.DOTALL)
