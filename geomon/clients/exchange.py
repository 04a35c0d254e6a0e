"""A request on its way: begun, answered, read to the last byte."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from geomon import clock, losses
from geomon.clients.options import Options
from geomon.streams import Closed, Course
from geomon.tracking.active import ActiveCall, Spec
from geomon.tracking.current import begin as begin_call

_END_OF_EVENTS = b"[DONE]"
_TAIL = 16


class Exchange(Course):
    """One request and its answer; its call ends exactly once.

    Only what the program reads the body from holds it, so that its disappearance means an answer
    that was dropped.
    """

    __slots__ = ("__weakref__", "_received", "_tail", "active", "is_answered")

    def __init__(self, active: ActiveCall) -> None:
        super().__init__(active)
        self.active = active
        self.is_answered = False
        self._received = 0
        self._tail = b""

    def answered(self, status: Any) -> None:
        """The head of the answer came."""
        self._last = clock.monotonic()
        self.active.status = status if isinstance(status, int) else None  # a mock's may be anything
        self.is_answered = True

    def take(self, item: Any) -> None:
        """A part of the body came."""
        self._last = clock.monotonic()
        if type(item) is bytes:
            size = len(item)
            self._received += size
            self._tail = item[-_TAIL:] if size >= _TAIL else (self._tail + item)[-_TAIL:]

    def came(self) -> None:
        """Something came, of unknown size."""
        self._last = clock.monotonic()

    def failed(self, error: BaseException) -> None:
        """The request failed, now."""
        self.end(error, self._last)

    def closed(self, headers: Mapping[str, str]) -> None:
        """The program closed the answer: early, unless there was nothing more to read."""
        if not self.ended:
            now = clock.monotonic()
            self.end(None if self._is_whole(headers) else Closed(), now)

    def _is_whole(self, headers: Mapping[str, str]) -> bool:
        """Whether the body came, or is one that programs need not read: a redirect's, an error's.

        An OpenAI client closes a stream after the event that says it is done, before its last byte.
        """
        status = self.active.status
        if status is None or not 200 <= status < 300 or status == 204:
            return True
        if self.active.method == "HEAD":
            return True
        length = headers.get("content-length", "")
        if length.isdecimal() and self._received >= int(length):
            return True
        return self._tail.rstrip().endswith(_END_OF_EVENTS)


def begin(options: Options, method: str, host: str | None) -> Exchange | None:
    """A new exchange with a host, given as its label.

    None: the host is left alone, or geomon itself failed.
    """
    try:
        if options.exclude.has_label(host):
            return None
        return Exchange(begin_call(_spec(method, host)))
    except Exception as error:
        failed(error)
        return None


def failed(error: BaseException) -> None:
    """Counts a failure of geomon's own around a request, which goes on."""
    losses.failed("clients", "failed", error)


@lru_cache(maxsize=1024)
def _spec(method: str, host: str | None) -> Spec:
    return Spec("client_request", method=method, host=host, answered=True)
