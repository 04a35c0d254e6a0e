"""Adding up fields of records: tokens and cost by user, or by any field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from geomon.logs.fields import MISSING, field

USUAL = ("tokens", "cost")
"""What is added up where nothing is named."""


_LARGEST = 1e300


@dataclass(frozen=True)
class Total:
    """The records of one group.

    Attributes:
        group: The value of each field in `by`; None where the records do not have it.
        count: How many records there are.
        sums: The sum of each field in `sums`; None where no record has a number there.
    """

    group: dict[str, Any]
    count: int
    sums: dict[str, int | float | None]

    def row(self) -> dict[str, Any]:
        """All of it in one dict, for a table or a line of JSON.

        Where names meet, `count` is the number of records, `sum_count` the sum of a field of that
        name, and `by_cost` the group's value beside the sum of `cost`.
        """
        sums = _apart(self.sums, {"count"}, "sum_")
        return {**_apart(self.group, {"count", *sums}, "by_"), "count": self.count, **sums}


def _apart(values: Mapping[str, Any], taken: set[str], prefix: str) -> dict[str, Any]:
    """The values under names that are not taken: a prefix stands before those that are."""
    named = {}
    for name, value in values.items():
        free = name
        while free in taken or (free != name and free in values):
            free = prefix + free
        named[free] = value
    return named


def totals(
    records: Iterable[Mapping[str, Any]], by: Sequence[str] = (), sums: Sequence[str] = USUAL
) -> list[Total]:
    """Adds up fields of records, by group; the greatest first sum comes first.

        totals(read("logs", since="1d"), by=["user_id"], sums=["cost"])

    Args:
        records: The records; one without a field of `by` counts under None, a broken line not
            at all.
        by: The fields that make the groups; none: all records are one group.
        sums: The fields to add up. `tokens`, where a record does not have it, is its
            `input_tokens` and `output_tokens`.

    Raises:
        ValueError: A name cannot be a field.
    """
    groups = _Groups(by, sums)
    for record in records:
        if not getattr(record, "broken", False):
            groups.add(record)
    return groups.totals()


class _Groups:
    def __init__(self, by: Sequence[str], sums: Sequence[str]) -> None:
        self._by = {name: field(name) for name in by}
        self._fields = {name: _tokens if name == "tokens" else field(name) for name in sums}
        self._found: dict[tuple[str | None, ...], tuple[dict[str, Any], list[_Sum]]] = {}
        self._counts: dict[tuple[str | None, ...], int] = {}
        if not by:
            self._group(())

    def add(self, record: Mapping[str, Any]) -> None:
        values = [value(record) for value in self._by.values()]
        key = tuple(map(_key, values))
        sums = self._found[key][1] if key in self._found else self._group(key, values)
        self._counts[key] += 1
        for total, value in zip(sums, self._fields.values(), strict=True):
            total.add(value(record))

    def _group(self, key: tuple[str | None, ...], values: Sequence[Any] = ()) -> list[_Sum]:
        group = {
            name: None if value is MISSING else value
            for name, value in zip(self._by, values, strict=True)
        }
        sums = [_Sum() for _ in self._fields]
        self._found[key], self._counts[key] = (group, sums), 0
        return sums

    def totals(self) -> list[Total]:
        found = [
            Total(
                group,
                self._counts[key],
                {name: total.value() for name, total in zip(self._fields, sums, strict=True)},
            )
            for key, (group, sums) in self._found.items()
        ]
        return sorted(found, key=_size, reverse=True)


class _Sum:
    """A sum that the number and order of its parts do not make wrong (Neumaier's)."""

    def __init__(self) -> None:
        self._sum: int | float | None = None
        self._lost = 0.0

    def add(self, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return
        if not -_LARGEST < value < _LARGEST:  # nor NaN
            return
        if isinstance(value, int) and not isinstance(self._sum, float):
            self._sum = (self._sum or 0) + value
        else:
            self._add_float(float(self._sum or 0), float(value))

    def _add_float(self, before: float, value: float) -> None:
        after = before + value
        greater, smaller = sorted((before, value), key=abs, reverse=True)
        self._lost += (greater - after) + smaller
        self._sum = after

    def value(self) -> int | float | None:
        return self._sum + self._lost if isinstance(self._sum, float) else self._sum


_input, _output, _both = field("input_tokens"), field("output_tokens"), field("tokens")


def _tokens(record: Mapping[str, Any]) -> Any:
    both = _both(record)
    if both is not MISSING:
        return both
    parts = [part for part in (_input(record), _output(record)) if isinstance(part, (int, float))]
    return sum(parts) if parts else MISSING


def _key(value: Any) -> str | None:
    """A user 7 and a user "7" are one user; what is missing and what is null are one."""
    if value is MISSING or value is None:
        return None
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer beyond 64 bits, a lone surrogate
        return repr(value)


def _size(total: Total) -> tuple[float, int]:
    first = next(iter(total.sums.values()), None)
    return (first or 0, total.count)
