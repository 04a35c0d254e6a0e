"""What an open call was told."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from geomon import usage
from geomon.call import EMPTY, Attempt, Usage

_SEEN_LIMIT = 32


class Notes:
    """What a call was told while it was open; most calls of plain functions are told nothing."""

    def __init__(self) -> None:
        self.answered: str | None = None
        self.finish_reasons: tuple[str, ...] = ()
        self.rate_limit_remaining: Mapping[str, float] = EMPTY
        self.used: list[Usage] = []
        self.absorbed: list[Usage] = []
        self.attempts: list[Attempt] = []
        self.seen: deque[Any] = deque(maxlen=_SEEN_LIMIT)
        self.stream: usage.StreamReader | None = None
        self.unread = False
        self.metered = False
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.attributes: dict[str, Any] = {}
        self.trace_id: str | None = None
        self.span_id: str | None = None

    def answer(
        self, model: str | None, finish_reasons: tuple[str, ...], limits: Mapping[str, float]
    ) -> None:
        """Notes who answered, and how; what is not known leaves the earlier answer."""
        self.answered = model or self.answered
        self.finish_reasons = finish_reasons or self.finish_reasons
        self.rate_limit_remaining = limits or self.rate_limit_remaining

    def has_seen(self, source: Any) -> bool:
        """Whether this response was counted already, here or in a call inside this one."""
        return any(source is known for known in self.seen)
