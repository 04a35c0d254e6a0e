"""Which series of two vectors belong together: those of one signature."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeAlias

from geomon.promql.tree import Matching
from geomon.promql.values import Column, Labels

Signature: TypeAlias = Callable[[Labels], Hashable]


def signature_of(matching: Matching) -> Signature:
    """What two series must have the same of."""
    names = matching.labels
    if matching.on:
        return lambda labels: tuple([labels.get(name, "") for name in names])
    ignored = {*names, "__name__"}
    return lambda labels: frozenset(
        [(name, value) for name, value in labels.items() if name not in ignored]
    )


def grouped(vector: Iterable[Column], signature: Signature) -> dict[Hashable, list[Column]]:
    """Series by signature."""
    groups: dict[Hashable, list[Column]] = {}
    for column in vector:
        groups.setdefault(signature(column.labels), []).append(column)
    return groups
