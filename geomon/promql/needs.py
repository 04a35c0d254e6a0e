"""What a query needs of a store: which metrics, and for how long back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from geomon.promql.context import LOOKBACK
from geomon.promql.parsing import parse
from geomon.promql.tree import (
    Absent,
    Aggregation,
    Binary,
    Call,
    Negation,
    Node,
    Plus,
    Select,
    SelectRange,
    Subquery,
    Timestamps,
)

_OF_TWO = frozenset(("delta", "deriv", "idelta", "increase", "irate", "predict_linear", "rate"))
"""What gives nothing for a single sample."""


def needs(expr: str, *, lookback: float = LOOKBACK) -> dict[str | None, float]:
    """The seconds that every metric of a query must be kept, for `SeriesStore.retain`.

    A selector that names no metric is under None. What `@` fixes is taken for now.

    Raises:
        PromQLError: If the query is wrong.
    """
    found: dict[str | None, float] = {}
    for select, window in _selectors(parse(expr), round(lookback * 1000)):
        name = select.matchers.name
        found[name] = max(found.get(name, 0.0), window / 1000)
    return found


def narrowest(expr: str) -> float:
    """The seconds of the shortest window that must hold two samples; infinite without one.

    Raises:
        PromQLError: If the query is wrong.
    """
    shortest = math.inf
    pending: list[Node] = [parse(expr)]
    while pending:
        node = pending.pop()
        pending += _parts(node)
        if isinstance(node, Call) and node.function in _OF_TWO:
            windows = [one.range for one in node.arguments if isinstance(one, SelectRange)]
            shortest = min([shortest, *(window / 1000 for window in windows)])
    return shortest


def _selectors(root: Node, lookback: int) -> Iterator[tuple[Select, int]]:
    """Every selector, with the milliseconds that it looks back."""
    pending: list[tuple[Node, int]] = [(root, 0)]
    while pending:
        node, back = pending.pop()
        match node:
            case Select(offset=offset) | Timestamps(select=Select(offset=offset)):
                select = node if isinstance(node, Select) else node.select
                yield select, back + lookback + max(offset, 0)
            case SelectRange(select, length):
                yield select, back + length + max(select.offset, 0)
            case Subquery(expr, length, _, offset):
                pending.append((expr, back + length + max(offset, 0)))
            case _:
                pending += [(part, back) for part in _parts(node)]


def _parts(node: Node) -> Sequence[Node]:
    match node:
        case Negation(expr) | Plus(expr) | Absent(expr) | Subquery(expr):
            return [expr]
        case Binary(left=left, right=right):
            return [left, right]
        case Aggregation(expr=expr, parameter=parameter):
            return [expr] if parameter is None else [expr, parameter]
        case Call(arguments=arguments):
            return arguments
        case _:
            return []
