"""Label matchers: which series a selector means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from geomon.promql.regexes import anchored, matched


@dataclass(frozen=True)
class Matcher:
    """One of `a="b"`, `a!="b"`, `a=~"b"`, `a!~"b"`. A label that is not there is empty."""

    name: str
    operator: Literal["=", "!=", "=~", "!~"]
    value: str

    def accepts(self, text: str) -> bool:
        """Whether a label value meets it."""
        if self.operator in ("=", "!="):
            return (text == self.value) is (self.operator == "=")
        return _matches(self.value, text) is (self.operator == "=~")


@lru_cache(maxsize=10_000)
def _matches(pattern: str, text: str) -> bool:
    return matched(anchored(pattern), text) is not None


@dataclass(frozen=True)
class Matchers:
    """All the matchers of a selector.

    Attributes:
        name: The metric's name, where one is given.
        others: The others.
    """

    name: str | None
    others: tuple[Matcher, ...] = field(default=())

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is meant."""
        if self.name is not None and labels.get("__name__", "") != self.name:
            return False
        return all(matcher.accepts(labels.get(matcher.name, "")) for matcher in self.others)

    def absent_labels(self) -> Mapping[str, str]:
        """What `absent` answers with: what an equality says, where nothing else does."""
        labels: dict[str, str] = {}
        seen: set[str] = set()
        for matcher in self.others:
            name = matcher.name
            if name != "__name__" and matcher.operator == "=" and name not in seen:
                seen.add(name)
                labels[name] = matcher.value
            else:
                labels.pop(name, None)
        return {name: value for name, value in labels.items() if value != ""}
