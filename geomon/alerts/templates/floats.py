"""Numbers as Go writes them."""

from __future__ import annotations

import math
from decimal import Decimal


def shortest(value: float) -> str:
    """The fewest digits that are this float, as Go's `%v` has them: `1e+06`, `+Inf`."""
    if not math.isfinite(value):
        return special(value)
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    written = "".join(map(str, digits))
    place = len(written) + exponent - 1
    if -4 <= place < 6:
        return ("-" if sign else "") + format(abs(Decimal(repr(value)).normalize()), "f")
    point = f"{written[0]}.{written[1:]}" if written[1:] else written
    return f"{'-' if sign else ''}{point}e{place:+03d}"


def special(value: float) -> str:
    """What is not finite."""
    if value != value:
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def fixed(value: float, verb: str, precision: int) -> str:
    """A float by `e`, `f` or `g`, with so many digits."""
    if not math.isfinite(value):
        return special(value)
    return f"{value:.{precision}{verb}}"
