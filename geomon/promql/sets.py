"""`and`, `or` and `unless` between two vectors."""

from __future__ import annotations

from collections.abc import Iterable

from geomon.promql.signatures import grouped, signature_of
from geomon.promql.tree import Matching
from geomon.promql.values import Column, Vector, merged, present


def intersection(matching: Matching, left: Vector, right: Vector) -> Vector:
    """`and`: what the right side has too."""
    return _masked(matching, left, right, wanted=True)


def complement(matching: Matching, left: Vector, right: Vector) -> Vector:
    """`unless`: what the right side has not."""
    return _masked(matching, left, right, wanted=False)


def union(matching: Matching, left: Vector, right: Vector) -> Vector:
    """`or`: the left side, and what of the right it has not."""
    return merged([*left, *_masked(matching, right, left, wanted=False)])


def _masked(matching: Matching, kept: Vector, mask: Vector, wanted: bool) -> Vector:
    signature = signature_of(matching)
    masks = {key: _presence(group) for key, group in grouped(mask, signature).items()}
    columns = []
    for column in kept:
        found = masks.get(signature(column.labels))
        if found is not None:
            pairs = zip(column.values, found, strict=True)
            columns.append(
                Column(column.labels, [v if there is wanted else None for v, there in pairs])
            )
        elif not wanted:
            columns.append(column)
    return present(columns)


def _presence(group: Iterable[Column]) -> list[bool]:
    steps = zip(*(column.values for column in group), strict=True)
    return [any(value is not None for value in values) for values in steps]
