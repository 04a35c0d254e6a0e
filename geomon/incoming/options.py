"""What a middleware was told."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Read = Callable[[Any], Any]
"""Reads something of a request: takes the ASGI scope, or the WSGI environ."""

_is_token = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+").fullmatch


@dataclass(frozen=True)
class Options:
    """The options of the middlewares, checked.

    Raises:
        TypeError: an option has the wrong type.
        ValueError: the header has no name that HTTP knows, or a pattern is no regular expression.
    """

    request_id_header: str | None = "X-Request-ID"
    trust_request_id: bool = True
    trust_traceparent: bool = True
    user_id: Read | None = None
    endpoint: Read | None = None
    exclude: Iterable[str] = ()
    sizes: bool = False
    is_excluded: Callable[[str], object] | None = field(init=False, default=None)
    """Whether a path is left out; None where none is."""

    def __post_init__(self) -> None:
        for name in ("trust_request_id", "trust_traceparent", "sizes"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name}={getattr(self, name)!r}: write {name}=True or False")
        for name in ("user_id", "endpoint"):
            _check_callable(name, getattr(self, name))
        _check_header(self.request_id_header)
        object.__setattr__(self, "is_excluded", _excluding(self.exclude))


def _check_callable(name: str, read: Any) -> None:
    if read is None:
        return
    if not callable(read) or inspect.iscoroutinefunction(read):
        raise TypeError(
            f"{name}={read!r}: write a plain function that takes the ASGI scope or WSGI environ"
        )


def _check_header(name: Any) -> None:
    if name is None:
        return
    if not isinstance(name, str):
        raise TypeError(f'request_id_header={name!r}: write a name, "X-Request-ID", or None')
    if not _is_token(name):
        raise ValueError(f'request_id_header={name!r} is no header\'s name: write "X-Request-ID"')


def _excluding(patterns: Any) -> Callable[[str], object] | None:
    if isinstance(patterns, str) or not isinstance(patterns, Iterable):
        raise TypeError(
            f'exclude={patterns!r}: write a list of patterns, ["/health", "/static/.*"]'
        )
    texts = list(patterns)
    for text in texts:
        try:
            re.compile(text)
        except (re.error, TypeError) as error:
            raise ValueError(
                f'exclude: {text!r} is no regular expression ({error}): write "/health" for that '
                'path alone, "/static/.*" for all below'
            ) from error
    return re.compile("|".join(f"(?:{text})" for text in texts)).fullmatch if texts else None
