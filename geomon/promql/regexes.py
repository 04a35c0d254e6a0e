"""Prometheus's regular expressions: RE2, anchored at both ends, `.` matches a newline too."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

from geomon.promql.errors import PromQLError


@lru_cache(maxsize=1_000)
def anchored(pattern: str) -> Any:
    """The compiled pattern, for `fullmatch`.

    Raises:
        PromQLError: If RE2 does not take it.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"(?s:{pattern})", options)
    except UnicodeEncodeError:
        raise PromQLError("invalid regular expression: a lone surrogate") from None
    except re2.error as error:
        reason = bytes(error.args[0]).decode("utf-8", "replace").partition(": ")[0]
        raise PromQLError(f"invalid regular expression {pattern!r}: {reason}") from None


def matched(pattern: Any, text: str) -> Any:
    """The match of the whole text, or None."""
    try:
        return pattern.fullmatch(text)
    except UnicodeEncodeError:  # a lone surrogate, which UTF-8 has not
        return pattern.fullmatch(text.encode("utf-8", "replace").decode())
