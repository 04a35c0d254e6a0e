"""PromQL, piece by piece: selectors, windows, ratios, conditions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from geomon.alerts import durations
from geomon.alerts.templates.quoting import quote
from geomon.promql.floats import text as decimal

MARK = "\0"
"""Stands before the metrics' names until the namespace is known; no quoted text holds it."""


PERCENT = "{{ $value | humanizePercentage }}"
"""A ratio as a template shows it."""


def selector(metric: str, **labels: str | Sequence[str] | None) -> str:
    """A metric of geomon's, with labels that equal a text, or one of several.

    A label `x` that is `None` is left out; one that is named `not_x` must not equal.
    """
    matchers = []
    for name, value in labels.items():
        label, negated = name.removeprefix("not_"), name.startswith("not_")
        if isinstance(value, str):
            matchers.append(f"{label}{'!=' if negated else '='}{quote(value)}")
        elif value:
            matchers.append(f"{label}{'!~' if negated else '=~'}{quote('|'.join(value))}")
    return f"{MARK}{metric}{{{', '.join(matchers)}}}" if matchers else f"{MARK}{metric}"


def increase(
    window: str, by: Sequence[str], metric: str, **labels: str | Sequence[str] | None
) -> str:
    """How much a counter grew in a window, added up."""
    grouped = f" by ({', '.join(by)}) " if by else ""
    return f"sum{grouped}(increase({selector(metric, **labels)}[{window}]))"


def number(name: str, value: object, least: float = 0.0, most: float = math.inf) -> str:
    """A number between two others, itself not among them but `least`.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is not between them.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}={value!r}: write a number")
    if not least <= value < most or not math.isfinite(value):
        raise ValueError(f"{name}={value!r}: write a number {_range(least, most)}")
    return decimal(float(value))


def _range(least: float, most: float) -> str:
    if most == 1:
        return "from 0 to 1, such as 0.1 for 10 %"
    return f"from {decimal(least)} up" + (f", below {decimal(most)}" if most < math.inf else "")


def window(value: float | str, name: str = "window") -> str:
    """A window as PromQL writes it.

    Raises:
        TypeError, ValueError: If it is no duration, or zero.
    """
    seconds = durations.seconds(value, name)
    if not seconds:
        raise ValueError(f'{name}={value!r}: write a duration above zero, such as "5m"')
    return durations.text(seconds)


def count(name: str, value: object) -> int:
    """A whole number from 0 up.

    Raises:
        TypeError: If it is none.
        ValueError: If it is below zero.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}={value!r}: write a whole number")
    if value < 0:
        raise ValueError(f"{name}={value!r}: write a number from 0 up; 0 asks for no traffic")
    return value


def texts(**given: object) -> None:
    """Raises TypeError where one is neither None nor a str."""
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name}={value!r}: write a str, or leave it out")


def lower(name: str, value: float | None, threshold: float) -> str | None:
    """The number below which an alert resolves, if there is one.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is above the threshold.
    """
    if value is None:
        return None
    written = number(name, value)
    if value > threshold:
        raise ValueError(f"{name}={value!r}: write a number below the threshold, {threshold!r}")
    return written


def above(value: str, threshold: str, calls: str, least: int) -> str:
    """Whether a value is above a threshold, and there was traffic enough."""
    enough = f"\nand {calls} >= {least}" if least else ""
    return f"{value} > {threshold}{enough}"


def held(condition: str, value: str, lower: str, name: str, labels: Mapping[str, str]) -> str:
    """The condition, or what fires already and is not below `lower`."""
    constant = {key: text for key, text in labels.items() if "{{" not in text and text}
    matchers = {"alertname": name, "alertstate": "firing", **constant}
    firing = ", ".join(f"{key}={quote(text)}" for key, text in matchers.items())
    ignored = ", ".join(["alertname", "alertstate", *labels])
    return f"{condition}\nor {value} >= {lower}\nand ignoring ({ignored}) ALERTS{{{firing}}}"
