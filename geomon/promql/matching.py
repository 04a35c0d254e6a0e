"""Arithmetic and comparison between two vectors: which series belong together, and what of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from geomon.promql.errors import PromQLError
from geomon.promql.limits import Budget
from geomon.promql.operators import Operation, drops_name, operation
from geomon.promql.signatures import grouped, signature_of
from geomon.promql.tree import Matching
from geomon.promql.values import Column, Labels, Vector, merged


def of_vectors(
    sign: str, as_bool: bool, matching: Matching, left: Vector, right: Vector, budget: Budget
) -> Vector:
    """Arithmetic or comparison of the series that match.

    Raises:
        PromQLError: If a series matches more than one of the other side and that was not said.
    """
    swapped = matching.many == "right"
    many, one = (right, left) if swapped else (left, right)
    join = _Join(matching, swapped, _both(operation(sign, as_bool), swapped), sign, as_bool, budget)
    return merged(join.results(many, one))


def _both(operate: Operation, swapped: bool) -> Operation:
    return (lambda one, other: operate(other, one)) if swapped else operate


@dataclass(frozen=True)
class _Join:
    matching: Matching
    swapped: bool
    operate: Operation
    sign: str
    as_bool: bool
    budget: Budget

    def results(self, many: Vector, one: Vector) -> Vector:
        signature = signature_of(self.matching)
        ones = grouped(one, signature)
        for group in ones.values():
            if len(group) > 1:
                self._check_one(group, many)
        results: Vector = []
        for key, group in grouped(many, signature).items():
            partners = ones.get(key, ())
            self.budget.hold(len(group) * len(partners) * len(group[0].values))
            matched = [self._pair(a, b) for a in group for b in partners]
            if len(matched) > 1:
                self._check_results(matched)
            results += matched
        return results

    def _pair(self, many: Column, one: Column) -> Column:
        operate = self.operate
        pairs = zip(many.values, one.values, strict=True)
        values = [None if a is None or b is None else operate(a, b) for a, b in pairs]
        return Column(self._labels(many.labels, one.labels), values)

    def _labels(self, many: Labels, one: Labels) -> Labels:
        matching = self.matching
        labels = dict(many)
        if drops_name(self.sign, self.as_bool):
            labels.pop("__name__", None)
        if matching.many is None:
            kept = set(matching.labels)
            labels = {
                name: value for name, value in labels.items() if (name in kept) is matching.on
            }
        for name in matching.include:
            labels.pop(name, None)
            if one.get(name):
                labels[name] = one[name]
        return labels

    def _check_one(self, group: Sequence[Column], many: Vector) -> None:
        found = _clash(group)
        if found is None:
            return
        one, other = found
        present_at = zip(one.values, other.values, *(c.values for c in many), strict=True)
        if not any(
            a is not None and b is not None and any(value is not None for value in rest)
            for a, b, *rest in present_at
        ):
            return
        side = "left" if self.swapped else "right"
        raise PromQLError(
            f"found duplicate series for the match group {self._group(one.labels)} on the {side} "
            f"hand-side of the operation: [{_shown(other.labels)}, {_shown(one.labels)}];"
            "many-to-many matching not allowed: matching labels must be unique on one side"
        )

    def _check_results(self, results: Sequence[Column]) -> None:
        if self.matching.many is None:
            if _clash(results):
                raise PromQLError(
                    "multiple matches for labels: many-to-one matching must be explicit "
                    "(group_left/group_right)"
                )
            return
        for group in grouped(results, lambda labels: frozenset(labels.items())).values():
            if _clash(group):
                raise PromQLError(
                    "multiple matches for labels: grouping labels must ensure unique matches"
                )

    def _group(self, labels: Labels) -> str:
        names = set(self.matching.labels)
        if self.matching.on:
            return _shown({name: labels[name] for name in labels if name in names})
        names.add("__name__")
        return _shown({name: labels[name] for name in labels if name not in names})


def _clash(columns: Sequence[Column]) -> tuple[Column, Column] | None:
    """Two that have a sample at the same step."""
    taken: list[Column | None] = [None] * len(columns[0].values) if columns else []
    for column in columns:
        for step, value in enumerate(column.values):
            if value is None:
                continue
            earlier = taken[step]
            if earlier is not None:
                return earlier, column
            taken[step] = column
    return None


def _shown(labels: Labels) -> str:
    pairs = (f'{name}="{value}"' for name, value in sorted(labels.items()) if name != "__name__")
    return f"{labels.get('__name__', '')}{{{', '.join(pairs)}}}"
