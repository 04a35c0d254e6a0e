"""Raw responses (`with_raw_response`): the headers' rate limits, and what the SDK parses."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from geomon.usage.reading import Shape, Tally

Headers = tuple[str, str]
"""Names of the limit's and the remaining amount's header, with `{}` for the kind."""

Finder = Callable[[type], "Shape | None"]


def raw_shape(provider: str, headers: Headers, find: Finder) -> Shape:
    """The shape of a provider's raw responses. `find` gives the shape of what they hold.

    Only a body that is in memory already is parsed, as the program's own `parse()` would, which
    then gives the same object. A body or a stream still to be read is left alone.
    """

    def read_raw(response: Any, tally: Tally) -> bool:
        tally.provider = provider
        tally.rate_limit_remaining = _rate_limits(response.headers, headers)
        parsed = _parsed(response)
        shape = find(type(parsed))
        if shape is not None:
            shape(parsed, tally)
        return True

    return read_raw


def _parsed(response: Any) -> Any:
    if not _is_in_memory(response.http_response):
        return None
    parsed = response.parse()
    return _result(parsed) if inspect.iscoroutine(parsed) else parsed


def _is_in_memory(http_response: Any) -> bool:
    try:
        return http_response.content is not None
    except Exception:  # httpx's ResponseNotRead, whichever httpx it is
        return False


def _result(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that never waits: the async clients' `parse` of a read body."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    return None


def _rate_limits(headers: Any, names: Headers) -> Mapping[str, float]:
    found = {}
    for kind in ("requests", "tokens"):
        limit, remaining = (_number(headers.get(name.format(kind))) for name in names)
        if limit and remaining is not None:
            found[kind] = remaining / limit
    return found


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
