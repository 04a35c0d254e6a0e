"""What is refused before the parser sees it: what would crash it, or what it misreads."""

from __future__ import annotations

import re

from geomon.promql.errors import PromQLError
from geomon.promql.pieces import PIECE

MAX_BYTES = 10_000
MAX_DEPTH = 100
MAX_OPERATORS = 500


def check_text(text: str) -> None:
    """Refuses what the parser would not survive, and two names for one metric.

    Raises:
        PromQLError: If the text is too long, too deep, has too many operators, or two names.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise PromQLError(f"the query has {size} bytes; at most {MAX_BYTES} are read")
    _check_size(text)
    if "{" in text:
        _check_names(text)


def _check_size(text: str) -> None:
    depth = operators = 0
    for piece in PIECE.finditer(text):
        kind = piece.lastgroup
        depth += (kind == "open") - (kind == "close")
        operators += kind == "operator" or piece[0] == "["  # subqueries may follow one another
        if depth > MAX_DEPTH:
            raise PromQLError(f"more than {MAX_DEPTH} levels of nesting", piece.start())
        if operators > MAX_OPERATORS:
            raise PromQLError(f"more than {MAX_OPERATORS} operators", piece.start())


def _check_names(text: str) -> None:
    """A second name beside a quoted one: the parser takes both for matchers."""
    bare = PIECE.sub(_without_text, text)
    for braces in re.findall(r"\{[^}]*\}", bare):
        quoted = len(re.findall(r"[{,]\s*\0\s*(?=[,}])", braces))
        if quoted and quoted + len(re.findall(r"\b__name__\s*=\s*\0", braces)) > 1:
            raise PromQLError("metric name must not be set twice")


def _without_text(piece: re.Match[str]) -> str:
    if piece.lastgroup in ("quoted", "raw"):
        return "\0"
    return "" if piece[0].startswith("#") else piece[0]
