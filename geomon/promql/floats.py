"""Arithmetic as IEEE 754 and Go have it: nothing raises."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal

NAN = math.nan
INFINITY = math.inf

_DIGITS, _HEX = r"[0-9](?:_?[0-9])*", r"[0-9a-f](?:_?[0-9a-f])*"
_NUMBER = re.compile(
    rf"""[-+]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)? | \.{_DIGITS})(?:e[-+]?{_DIGITS})?
      | (?P<hex>[-+]?0x(?:_?{_HEX}(?:\.(?:{_HEX})?)? | \.{_HEX})p[-+]?{_DIGITS})
      | (?P<special>[-+]?inf(?:inity)? | nan)""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
"""What Go's `ParseFloat` takes."""


def divide(dividend: float, divisor: float) -> float:
    """`/`; by zero it is an infinity or NaN."""
    if divisor:
        return dividend / divisor
    if not dividend or dividend != dividend:
        return NAN
    return math.copysign(INFINITY, dividend) * math.copysign(1.0, divisor)


def modulo(dividend: float, divisor: float) -> float:
    """`%`; the sign is the dividend's."""
    try:
        return math.fmod(dividend, divisor)
    except ValueError:
        return NAN


def power(base: float, exponent: float) -> float:
    """`^`."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.copysign(INFINITY, base) if _odd(exponent) else INFINITY
    except ValueError:
        if base != 0:
            return NAN
        return math.copysign(INFINITY, base) if _odd(exponent) else INFINITY


def _odd(number: float) -> bool:
    return math.fmod(number, 2) in (1.0, -1.0)


def contained(function: Callable[[float], float], overflow: bool = False) -> Callable[..., float]:
    """A function of `math` that gives NaN, or where it overflows an infinity, instead of raising.

    Args:
        function: Of one number.
        overflow: Whether an overflow below zero is a negative infinity.
    """

    def safe(value: float) -> float:
        try:
            return float(function(value))
        except ValueError:
            return NAN
        except OverflowError:
            return math.copysign(INFINITY, value) if overflow else INFINITY

    return safe


def whole(function: Callable[[float], int]) -> Callable[..., float]:
    """`math.floor` or `math.ceil`, also of what is not finite, and with zero's sign kept."""

    def safe(value: float) -> float:
        return math.copysign(float(function(value)), value) if math.isfinite(value) else value

    return safe


floor: Callable[[float], float] = whole(math.floor)


root: Callable[[float], float] = contained(math.sqrt)
"""The square root."""


def logarithm(function: Callable[[float], float]) -> Callable[..., float]:
    """A logarithm, negative infinity at zero."""
    safe = contained(function)
    return lambda value: -INFINITY if value == 0 else safe(value)


def text(value: float) -> str:
    """The shortest decimal that is this float, never with an exponent, as Go's `%f` has it."""
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    digits = format(Decimal(repr(value)), "f")
    return digits.removesuffix(".0")


def number(written: str) -> float | None:
    """What Go's `ParseFloat` reads; None where it would not, or the number is too large."""
    form = _NUMBER.fullmatch(written)
    if form is None:
        return None
    bare = written.replace("_", "")
    try:
        value = float.fromhex(bare) if form["hex"] else float(bare)
    except OverflowError:
        return None
    return None if math.isinf(value) and not form["special"] else value
