"""The proxy of a client's raw response whose body is still to come."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable
from typing import Any

from geomon.streams.course import Course
from geomon.streams.managed import Follow
from geomon.streams.proxied import Proxied


class RawResponse(Proxied):
    """What `with_raw_response.create(stream=True)` and a `with_streaming_response` block give.

    Its stream is followed from `parse()`, `iter_lines()`, `iter_text()` or `iter_bytes()` on;
    tokens are read from what is parsed, and from lines.
    """

    def __init__(self, wrapped: Any, course: Course, follow: Follow) -> None:
        super().__init__(wrapped, course)
        self._self_follow = follow
        course.call().stream_response(wrapped)  # its headers

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        """As the response's: a stream, or a whole response."""
        parsed = self._self_course.inside(lambda: self.__wrapped__.parse(*args, **kwargs))
        return self._awaited(parsed) if inspect.iscoroutine(parsed) else self._followed(parsed)

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        if name in ("iter_lines", "iter_text", "iter_bytes"):
            decode = event_in if name == "iter_lines" else None
            return lambda *args: self._followed(value(*args), decode)
        return value

    async def _awaited(self, parsed: Awaitable[Any]) -> Any:
        return self._followed(await self._self_course.async_inside(lambda: parsed))

    def _followed(self, parsed: Any, decode: Any = None) -> Any:
        course = self._self_course
        followed = self._self_follow(parsed, course)
        if followed is parsed:
            course.call().stream_response(parsed)
        else:
            course.decode = decode
        return followed


def is_whole(response: Any) -> bool:
    """Whether the body of a raw response has been received."""
    try:
        return bool(response.http_response.is_closed)
    except Exception:  # a stand-in of the program's tests
        return True


def event_in(line: Any) -> Any:
    """What a line of a server-sent event stream carries; None where that is no event."""
    if not isinstance(line, str) or not line.startswith("data:"):
        return None
    try:
        return json.loads(line[5:])
    except ValueError:  # `data: [DONE]`
        return None
