"""PromQL's functions: tables of small functions, by what they are functions of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geomon.promql.context import Context
from geomon.promql.functions import histograms, labels, whole
from geomon.promql.functions.dates import DATES
from geomon.promql.functions.elements import ELEMENTWISE, over_elements
from geomon.promql.functions.over_time import WINDOWED, over_windows
from geomon.promql.values import Scalar, Vector

__all__ = ["DATES", "KNOWN", "call"]

_WHOLE: dict[str, Callable[..., Scalar | Vector]] = {
    "histogram_fraction": histograms.histogram_fraction,
    "histogram_quantile": histograms.histogram_quantile,
    "label_join": lambda context, *arguments: labels.label_join(*arguments),
    "label_replace": lambda context, *arguments: labels.label_replace(*arguments),
    "pi": whole.pi,
    "scalar": whole.scalar,
    "sort": whole.sort,
    "sort_desc": whole.sort_desc,
    "time": whole.time,
    "timestamp": whole.timestamp,
    "vector": whole.vector,
}

KNOWN = frozenset((*_WHOLE, *ELEMENTWISE, *WINDOWED, "absent", "absent_over_time"))
"""The functions there are."""


def call(name: str, arguments: list[Any], context: Context) -> Scalar | Vector:
    """The value of a function of arguments of the right types.

    Raises:
        PromQLError: If the function has no value for them.
    """
    if name in ELEMENTWISE:
        return over_elements(name, arguments[0], arguments[1:])
    if name in WINDOWED:
        place = 1 if name == "quantile_over_time" else 0
        return over_windows(name, arguments.pop(place), arguments, context)
    return _WHOLE[name](context, *arguments)
