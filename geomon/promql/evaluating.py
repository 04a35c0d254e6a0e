"""The evaluator: what joins selectors, operators, aggregations and functions."""

from __future__ import annotations

from typing import Any, cast

from geomon.promql import aggregations, functions, matching, operators, selectors, sets, windows
from geomon.promql.aggregations import Grouping
from geomon.promql.context import Context
from geomon.promql.functions import whole
from geomon.promql.tree import (
    Absent,
    Aggregation,
    Binary,
    Call,
    Negation,
    Node,
    Number,
    Plus,
    Select,
    SelectRange,
    Subquery,
    Text,
    Timestamps,
)
from geomon.promql.values import Scalar, Vector


def evaluate(node: Node, context: Context) -> Any:
    """The value at every step: a `Scalar`, a `Vector`, a `Matrix` or a str, as the node's kind.

    Raises:
        PromQLError: If there is no value, or it would cost too much.
    """
    value = _value(node, context)
    if node.kind != "string":
        columns = len(value) if node.kind == "vector" else 1
        context.budget.hold(columns * len(context.steps))
    return value


def _value(node: Node, context: Context) -> Any:
    match node:
        case Select():
            return selectors.instant(node, context)
        case Number(value):
            return [value] * len(context.steps)
        case Binary():
            return _binary(node, context)
        case Call(function, arguments):
            return functions.call(function, [evaluate(one, context) for one in arguments], context)
        case SelectRange():
            return windows.selected(node, context)
        case Aggregation():
            return _aggregation(node, context)
        case Text(value):
            return value
        case Negation(expr, kind):
            value = evaluate(expr, context)
            return operators.negated(value) if kind == "vector" else [-one for one in value]
        case Plus(expr):
            return evaluate(expr, context)
        case Subquery(expr):
            return windows.subquery(node, context, lambda inner: evaluate(expr, inner))
        case Timestamps(select):
            return selectors.timestamps(select, context)
        case Absent(expr, labels):
            return whole.absent(context, evaluate(expr, context), labels)


def _binary(node: Binary, context: Context) -> Scalar | Vector:
    """A chain of left operands is walked, not descended: it may be hundreds long."""
    chain = [node]
    while isinstance(chain[-1].left, Binary):
        chain.append(chain[-1].left)
    value = evaluate(chain[-1].left, context)
    for link in reversed(chain):
        value = _operated(link, value, evaluate(link.right, context), context)
    return cast(Scalar | Vector, value)


def _operated(node: Binary, left: Any, right: Any, context: Context) -> Scalar | Vector:
    sign, kinds = node.operator, (node.left.kind, node.right.kind)
    if kinds == ("scalar", "scalar"):
        return operators.of_scalars(sign, left, right)
    if kinds == ("vector", "scalar"):
        return operators.of_vector(sign, node.bool, left, right, swapped=False)
    if kinds == ("scalar", "vector"):
        return operators.of_vector(sign, node.bool, right, left, swapped=True)
    if sign == "and":
        return sets.intersection(node.matching, left, right)
    if sign == "or":
        return sets.union(node.matching, left, right)
    if sign == "unless":
        return sets.complement(node.matching, left, right)
    return matching.of_vectors(sign, node.bool, node.matching, left, right, context.budget)


def _aggregation(node: Aggregation, context: Context) -> Vector:
    operator, vector = node.operator, evaluate(node.expr, context)
    grouping = Grouping(node.labels, node.without)
    if node.parameter is None:
        return aggregations.simple(operator, grouping, vector, context)
    parameter = evaluate(node.parameter, context)
    if operator == "count_values":
        return aggregations.counted(parameter, grouping, vector, context)
    if operator == "quantile":
        return aggregations.quantiles(parameter, grouping, vector, context)
    return aggregations.extremes(operator == "topk", parameter, grouping, vector, context)
