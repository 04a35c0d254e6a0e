"""A stream that a call was told of, beside the one that it may itself be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geomon import usage
from geomon.tracking.chain import ENDED, OPEN

if TYPE_CHECKING:
    from geomon.tracking.active import ActiveCall, Link


class Heard:
    """A stream that a call was told of: its items are read, and its end does not end the call."""

    __slots__ = ("_call", "_parent", "_reader")

    _state = ENDED  # what is made inside a step belongs to the call itself
    _thread = 0

    def __init__(self, call: ActiveCall) -> None:
        self._call = call
        self._parent: Link | None = call  # not kept where the call has ended
        self._reader: usage.StreamReader | None = None

    def stream_item(self, item: Any, at: float) -> None:
        """An item came out of the stream."""
        call = self._call
        if call._state == OPEN:
            notes = call._note()
            if self._reader is None:
                self._reader = notes.further_stream()
            call._hear(notes, self._reader, item, at)

    def stream_response(self, response: Any) -> None:
        """A response came along with the stream, or in its place."""
        if self._call._state == OPEN:
            self._call.stream_response(response)

    def stream_end(self, error: BaseException | None, at: float) -> None:
        """The stream is over."""

    def stream_dropped(self, at: float) -> None:
        """Nobody holds the stream any more."""
