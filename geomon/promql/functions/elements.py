"""Functions of one sample: mathematics, and the table of them and of dates."""

from __future__ import annotations

import math
from collections.abc import Callable

from geomon.promql import floats
from geomon.promql.functions.dates import DATES
from geomon.promql.values import Column, Scalar, Vector, merged, nameless


def _round(value: float, nearest: float = 1.0) -> float:
    inverse = floats.divide(1.0, nearest)
    return floats.divide(floats.floor(value * inverse + 0.5), inverse)


def _clamp(value: float, low: float, high: float) -> float | None:
    return None if high < low else _clamp_min(_clamp_max(value, high), low)


def _clamp_min(value: float, low: float) -> float:
    """The larger; NaN if one is NaN, unless the other is infinite (as Go has it)."""
    if math.inf in (value, low):
        return math.inf
    return math.nan if low != low else max(value, low)


def _clamp_max(value: float, high: float) -> float:
    return -_clamp_min(-value, -high)


def _sign(value: float) -> float:
    return math.copysign(1.0, value) if value < 0 or value > 0 else value


def _atanh(value: float) -> float:
    return (
        math.copysign(math.inf, value) if abs(value) == 1 else floats.contained(math.atanh)(value)
    )


ELEMENTWISE: dict[str, Callable[..., float | None]] = {
    **DATES,
    "abs": math.fabs,
    "acos": floats.contained(math.acos),
    "acosh": floats.contained(math.acosh),
    "asin": floats.contained(math.asin),
    "asinh": floats.contained(math.asinh),
    "atan": math.atan,
    "atanh": _atanh,
    "ceil": floats.whole(math.ceil),
    "clamp": _clamp,
    "clamp_max": _clamp_max,
    "clamp_min": _clamp_min,
    "cos": floats.contained(math.cos),
    "cosh": floats.contained(math.cosh),
    "deg": lambda value: value * 180 / math.pi,
    "exp": floats.contained(math.exp),
    "floor": floats.floor,
    "ln": floats.logarithm(math.log),
    "log10": floats.logarithm(math.log10),
    "log2": floats.logarithm(math.log2),
    "rad": lambda value: value * math.pi / 180,
    "round": _round,
    "sgn": _sign,
    "sin": floats.contained(math.sin),
    "sinh": floats.contained(math.sinh, overflow=True),
    "sqrt": floats.root,
    "tan": floats.contained(math.tan),
    "tanh": math.tanh,
}
"""Each takes a sample's value and the numbers that the function has for this step."""


def over_elements(name: str, vector: Vector, numbers: list[Scalar]) -> Vector:
    """A function of every sample of an instant vector.

    Raises:
        PromQLError: If two series become the same.
    """
    function = ELEMENTWISE[name]
    columns = []
    for labels, values in vector:
        rows = zip(values, *numbers, strict=True)
        results = [None if value is None else function(value, *given) for value, *given in rows]
        columns.append(Column(nameless(labels), results))
    return merged(columns)
