"""What an open call was told."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

from geomon import usage
from geomon.call import EMPTY, Attempt, Usage

_MOST_SEEN = 1024


class Notes:
    """What a call was told while it was open; most calls of plain functions are told nothing."""

    def __init__(self) -> None:
        self.answered: str | None = None
        self.finish_reasons: tuple[str, ...] = ()
        self.rate_limit_remaining: Mapping[str, float] = EMPTY
        self.used: list[Usage] = []
        self.absorbed: list[Usage] = []
        self.attempts: list[Attempt] = []
        self.seen: dict[int, Callable[[], Any]] = {}
        self.provider: str | None = None
        self.readers: list[usage.StreamReader] = []
        self.stream: usage.StreamReader | None = None
        self.items: usage.MixedReader | None = None
        self.unread = False
        self.metered = False
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.attributes: dict[str, Any] = {}
        self.trace_id: str | None = None
        self.span_id: str | None = None
        self.sizes: tuple[int | None, int | None] = (None, None)

    def own_stream(self) -> usage.StreamReader:
        """Reads the stream that the call's function returned."""
        if self.stream is None:
            self.stream = self.further_stream()
        return self.stream

    def stream_of(self, item: Any) -> usage.StreamReader:
        """Reads the stream of an item that the program recorded."""
        if self.items is None:
            self.items = usage.MixedReader(self.further_stream)
        return self.items.reader_of(item)

    def further_stream(self) -> usage.StreamReader:
        """Reads one more stream."""
        reader = usage.StreamReader()
        self.readers.append(reader)
        return reader

    def answer(
        self,
        model: str | None,
        provider: str | None,
        finish_reasons: tuple[str, ...],
        limits: Mapping[str, float],
    ) -> None:
        """Notes who answered, and how; what is not known leaves the earlier answer."""
        self.answered = model or self.answered
        self.provider = self.provider or provider
        self.finish_reasons = finish_reasons or self.finish_reasons
        self.rate_limit_remaining = limits or self.rate_limit_remaining

    def see(self, source: Any) -> None:
        """Remembers a response that has been counted, without keeping it alive if possible."""
        try:
            known: Callable[[], Any] = weakref.ref(source)
        except TypeError:  # a dict
            known = lambda: source  # noqa: E731 - as a weak reference is called
        self.seen[id(source)] = known
        if len(self.seen) > _MOST_SEEN:
            del self.seen[next(iter(self.seen))]

    def has_seen(self, source: Any) -> bool:
        """Whether this response was counted already, here or in a call inside this one."""
        known = self.seen.get(id(source))
        return known is not None and known() is source
