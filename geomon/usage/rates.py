"""Unit prices, and what a usage costs at them."""

from __future__ import annotations

from typing import NamedTuple

from geomon.call import Usage


class Rates(NamedTuple):
    """US dollars a token. None: no price of its own, charged as the kind it is a part of."""

    input: float = 0.0
    output: float = 0.0
    cached_input: float | None = None
    cache_write: float | None = None
    reasoning: float | None = None

    def cost(self, usage: Usage, total_input: int) -> float:
        """US dollars; an unknown count costs nothing.

        Raises:
            ValueError: If parts are larger than the whole, so that no sum would be right.
        """
        cached = 0 if self.cached_input is None else usage.cached_input or 0
        written = 0 if self.cache_write is None else usage.cache_write or 0
        reasoning = 0 if self.reasoning is None else usage.reasoning or 0
        fresh = total_input - cached - written
        plain = total_output(usage) - reasoning
        if fresh < 0 or plain < 0:
            raise ValueError("a part of the tokens is larger than the whole")
        return (
            fresh * self.input
            + cached * (self.cached_input or 0.0)
            + written * (self.cache_write or 0.0)
            + plain * self.output
            + reasoning * (self.reasoning or 0.0)
        )


class Tariff(NamedTuple):
    """What a model costs: rates by the size of the whole input, and a fee a request."""

    tiers: tuple[tuple[int, Rates], ...]
    """`(tokens, rates)`, largest first: the first with fewer tokens than the input holds for
    every token of the call. The last is for any input."""
    request: float = 0.0

    def cost(self, usage: Usage) -> float:
        """US dollars of one request. Raises as `Rates.cost`."""
        total = total_input(usage)
        for start, rates in self.tiers:
            if total > start:
                return self.request + rates.cost(usage, total)
        return self.request


def total_input(usage: Usage) -> int:
    """All input tokens; where only the cached ones are known, these."""
    if usage.input is None:
        return (usage.cached_input or 0) + (usage.cache_write or 0)
    return usage.input


def total_output(usage: Usage) -> int:
    """All output tokens; where only reasoning is known, that."""
    if usage.output is None:
        return usage.reasoning or 0
    return usage.output
