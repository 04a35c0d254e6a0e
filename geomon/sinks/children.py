"""A key's counters, each looked up once and kept: a family's `labels` costs more than counting."""

from __future__ import annotations

from typing import Any

from geomon.call import Usage
from geomon.sinks.families import Ai

_TOKEN_TYPES = ("input", "output", "cached_input", "cache_write", "reasoning")


class ByLabel(dict[str, Any]):
    """A family's children under one key, by the last label; each is made when first asked for."""

    __slots__ = ("_family", "_key")

    def __init__(self, family: Any, *key: str) -> None:
        super().__init__()
        self._family = family
        self._key = key

    def __missing__(self, last: str) -> Any:
        child = self[last] = self._family.labels(*self._key, last)
        return child


class AiChildren:
    """The counters of one (type, model).

    Those of families that have no further label are None until `make` makes them: a program that
    streams nothing has no such series, and a call that has begun is not yet a request.
    """

    def __init__(self, group: Ai, key: tuple[str, ...]) -> None:
        self._group = group
        self.key = key
        self.open: Any = None
        self.no_usage: Any = None
        self.requests: Any = None
        self.duration: Any = None
        self.cost: Any = None
        self.first_token: Any = None
        self.per_token: Any = None
        self.errors = ByLabel(group.errors, *key)
        self.attempts = ByLabel(group.attempts, *key)
        self.tokens = ByLabel(group.tokens, *key)
        self.unmetered = ByLabel(group.unmetered, *key)
        self.rate_limit = ByLabel(group.rate_limit, key[1])

    def make(self, name: str) -> Any:
        """Makes and keeps the child of a family, by the name it has here."""
        child = getattr(self._group, name).labels(*self.key)
        setattr(self, name, child)
        return child

    def make_no_usage(self) -> Any:
        """Makes and keeps the counter of calls that told no tokens."""
        self.no_usage = self.unmetered["no_usage"]
        return self.no_usage

    def count_spend(self, used: Usage) -> bool:
        """Counts tokens and cost; gives whether the tokens are known."""
        _, _, *amounts, cost = used
        for name, amount in zip(_TOKEN_TYPES, amounts, strict=True):
            if amount:
                self.tokens[name].inc(amount)
        known = used.input is not None or used.output is not None
        if cost is not None:
            (self.cost or self.make("cost")).inc(cost)
        elif known:
            self.unmetered["no_price"].inc()
        return known

    def count_stream(self, first_token: float, per_token: float | None) -> None:
        """Counts how fast a stream came."""
        (self.first_token or self.make("first_token")).observe(first_token)
        if per_token is not None:
            (self.per_token or self.make("per_token")).observe(per_token)
