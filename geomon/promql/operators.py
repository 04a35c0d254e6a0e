"""Arithmetic and comparison, between numbers and of a vector with a number."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import TypeAlias

from geomon.promql import floats
from geomon.promql.values import Column, Scalar, Vector, merged, nameless, unique

Operation: TypeAlias = Callable[[float, float], float | None]

ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": floats.divide,
    "%": floats.modulo,
    "^": floats.power,
    "atan2": math.atan2,
}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
SETS = frozenset(("and", "or", "unless"))


def operation(sign: str, as_bool: bool, keep_right: bool = False) -> Operation:
    """What an operator makes of two samples; None: no sample.

    Args:
        sign: The operator.
        as_bool: Whether a comparison gives 1 or 0, instead of its left side or nothing.
        keep_right: Whether it gives its right side.
    """
    if sign in ARITHMETIC:
        return ARITHMETIC[sign]
    holds = COMPARISONS[sign]
    if as_bool:
        return lambda left, right: float(holds(left, right))
    if keep_right:
        return lambda left, right: right if holds(left, right) else None
    return lambda left, right: left if holds(left, right) else None


def drops_name(sign: str, as_bool: bool) -> bool:
    """Whether the result is no longer what the metric's name says."""
    return as_bool or sign in ARITHMETIC


def of_scalars(sign: str, left: Scalar, right: Scalar) -> Scalar:
    """Two numbers."""
    operate = ARITHMETIC.get(sign) or COMPARISONS[sign]
    return [float(operate(a, b)) for a, b in zip(left, right, strict=True)]


def of_vector(sign: str, as_bool: bool, vector: Vector, scalar: Scalar, swapped: bool) -> Vector:
    """A vector and a number; `swapped` when the number stands on the left."""
    operate = operation(sign, as_bool, keep_right=swapped)
    drops = drops_name(sign, as_bool)
    columns = []
    for labels, values in vector:
        pairs = zip(values, scalar, strict=True)
        results = [
            None if value is None else operate(number, value) if swapped else operate(value, number)
            for value, number in pairs
        ]
        columns.append(Column(nameless(labels) if drops else labels, results))
    return merged(columns)


def negated(vector: Vector) -> Vector:
    """Unary minus.

    Raises:
        PromQLError: If two series become the same.
    """
    return unique(
        Column(nameless(labels), [None if value is None else -value for value in values])
        for labels, values in vector
    )
