"""What was read from a response, and the tally it is collected in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from geomon import losses
from geomon.call import EMPTY, Usage

MOST_TOKENS = 10**12
"""A count above this is a mistake of whoever wrote it."""


class Reading(NamedTuple):
    """What one response, or a stream so far, says about itself."""

    model: str | None
    """The model that answered."""
    provider: str | None
    """Whose response format it is: `openai`, `anthropic`. Compatible servers say `openai` too."""
    usage: Usage | None
    """The tokens, `cost` unset; None when the response carries no count."""
    finish_reasons: tuple[str, ...] = ()
    """Why the provider stopped, in its own words, one a choice."""
    has_content: bool = True
    """Whether an item of a stream carries generated content; True for whole responses."""
    rate_limit_remaining: Mapping[str, float] = EMPTY
    """Remaining divided by limit for `requests` and `tokens`; only what the headers told."""
    source: object = None
    """The object that carries the usage, else the response. Same source, same tokens."""
    final: bool = True
    """Whether nothing more is generated: True for whole responses and for a stream's end."""


class Tally:
    """What has been read so far; a response's shape writes it."""

    __slots__ = (
        "cache_write",
        "cached_input",
        "final",
        "finish_reasons",
        "input",
        "model",
        "output",
        "provider",
        "rate_limit_remaining",
        "reasoning",
        "sources",
        "uncached_input",
    )

    def __init__(self) -> None:
        self.model: str | None = None
        self.provider: str | None = None
        self.input: int | None = None
        self.uncached_input: int | None = None
        self.cached_input: int | None = None
        self.cache_write: int | None = None
        self.output: int | None = None
        self.reasoning: int | None = None
        self.finish_reasons: dict[int, str] = {}
        self.rate_limit_remaining: Mapping[str, float] = EMPTY
        self.sources: list[object] = []
        self.final = False

    def answered(self, provider: str, model: object) -> None:
        """Notes who answered; an empty model name (Azure's first chunk) is none."""
        self.provider = provider
        if model and isinstance(model, str):
            self.model = model

    def finished(self, choice: int, reason: object) -> None:
        """Notes why a choice ended; None and what is no text mean that it has not."""
        if reason and isinstance(reason, str):
            self.finish_reasons[choice] = reason
            self.final = True

    def usage(self) -> Usage | None:
        """The tokens; None when no count is known."""
        counts = (self.input, self.output, self.cached_input, self.cache_write, self.reasoning)
        if all(count is None for count in counts):
            return None
        return Usage(self.model or "unknown", self.provider, *counts)

    def reading(self, item: object, has_content: bool) -> Reading:
        """All of it, as a record. `item` is the source where nothing carried usage."""
        return Reading(
            model=self.model,
            provider=self.provider,
            usage=self.usage(),
            finish_reasons=tuple(self.finish_reasons.values()),
            has_content=has_content,
            rate_limit_remaining=self.rate_limit_remaining,
            source=self.sources[-1] if self.sources else item,
            final=self.final,
        )


Shape = Callable[[Any, Tally], "bool | None"]
"""Writes what an item says into the tally: whether it has content, or None if it is no such item.

May raise: whoever calls it contains that.
"""


def field(item: Any, name: str) -> Any:
    """The attribute of an object or the entry of a dict; None when it has none."""
    if isinstance(item, dict):
        return item.get(name)
    return getattr(item, name, None)


def tokens(item: Any, name: str) -> int | None:
    """A token count; None when absent, and when it is no count, which is a loss."""
    value = field(item, name)
    if value is None:
        return None
    if type(value) is int and 0 <= value <= MOST_TOKENS:
        return value
    losses.count("usage", "invalid")
    return None
