"""Proxies of what gives a stream or a response when it is entered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geomon.streams.course import Course
from geomon.streams.proxied import AsyncBlock, Block, Proxied

Follow = Callable[[Any, Course], Any]


class Opening(Proxied):
    """Follows what its block gives, to the end of the block at the latest."""

    def __init__(self, wrapped: Any, course: Course, follow: Follow) -> None:
        super().__init__(wrapped, course)
        self._self_follow = follow

    def _opened(self, entered: Any) -> Any:
        followed = self._self_follow(entered, self._self_course)
        self._self_course.gave(entered)
        return followed

    def __call__(self, function: Any) -> Any:
        """As a decorator, which contextlib's blocks are too: there the call is over."""
        self._self_course.complete()
        return self.__wrapped__(function)


class Managed(Opening, Block):
    """What is given for `with client.stream(...) as stream`."""


class AsyncManaged(Opening, AsyncBlock):
    """What is given for `async with client.stream(...) as stream`."""
