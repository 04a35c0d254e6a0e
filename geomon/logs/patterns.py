"""Regular expressions: RE2's, as Prometheus's are."""

from __future__ import annotations

import re
from collections.abc import Callable

import re2

Search = Callable[[str], bool]
"""Whether a pattern is found anywhere in a text."""


def search(pattern: str, ignore_case: bool = False) -> Search:
    """Compiles a pattern.

    Raises:
        ValueError: It is not a regular expression; the text says why.
    """
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        found = re2.compile(pattern.encode(), options).search
    except (re2.error, UnicodeEncodeError) as error:
        raise ValueError(f"not a regular expression that RE2 knows: {_said(error)}") from None
    # bytes spare re2 the counting of characters; a lone surrogate has no bytes of its own
    return lambda text: found(text.encode(errors="replace")) is not None


def is_literal(pattern: str) -> bool:
    """Whether a pattern stands for its own text."""
    return re.search(r"[][\\^$.|?*+(){}]", pattern) is None


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else error
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
