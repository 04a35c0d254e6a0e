"""`match` and `reReplaceAll`: RE2, found anywhere in the text."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

from geomon.alerts.templates.errors import ExpansionError
from geomon.alerts.templates.limits import check_text
from geomon.promql.functions.labels import expanded
from geomon.promql.parsing import parse


@lru_cache(maxsize=200)
def check(pattern: str) -> Any:
    """The compiled pattern.

    Raises:
        ValueError: If RE2 does not take it.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
        raise ValueError(f"{pattern[:100]!r} is no regular expression: {text}") from None


def check_query(text: str) -> None:
    """Raises ValueError where an expression cannot be read."""
    parse(text)


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text."""
    return _compiled(pattern).search(text) is not None


def replace_all(pattern: str, replacement: str, text: str) -> str:
    """The text with what the pattern finds replaced; `$1` and `${name}` are groups."""
    pieces, done, size = [], 0, 0
    for match in _compiled(pattern).finditer(text):
        if match.start() == match.end() == done and done:
            continue  # nothing, right behind the match before: Go does not count it
        pieces += [text[done : match.start()], expanded(replacement, match)]
        size += len(pieces[-1])
        check_text(size)
        done = match.end()
    return "".join([*pieces, text[done:]])


def _compiled(pattern: str) -> Any:
    try:
        return check(pattern)
    except ValueError as error:
        raise ExpansionError(str(error)) from None
