"""The parts of a template that write: text, values, `if`, `with` and `range`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geomon.alerts.templates.formatting import show
from geomon.alerts.templates.running import Part, Run, Value
from geomon.alerts.templates.values import is_true, items


def text(written: str) -> Part:
    """Text between two `{{ … }}`."""
    return lambda run, dot: run.write(written)


def shown(value: Value) -> Part:
    """`{{ value }}`."""
    return lambda run, dot: run.write(show(value(run, dot)))


def silent(value: Value) -> Part:
    """`{{ $x := value }}`."""

    def evaluated(run: Run, dot: Any) -> None:
        value(run, dot)

    return evaluated


def choice(value: Value, parts: Sequence[Part], otherwise: Sequence[Part], is_with: bool) -> Part:
    """`if` and `with`; `with` makes the value what `.` is."""

    def chosen(run: Run, dot: Any) -> None:
        found = value(run, dot)
        if is_true(found):
            write(parts, run, found if is_with else dot)
        else:
            write(otherwise, run, dot)

    return chosen


def each(
    value: Value, slots: Sequence[int], parts: Sequence[Part], otherwise: Sequence[Part]
) -> Part:
    """`range`: the variables are the element, or its index or key and the element."""

    def repeated(run: Run, dot: Any) -> None:
        pair = None
        for pair in items(value(run, dot)):
            run.step()
            for slot, found in zip(slots, pair[-len(slots) :], strict=False):
                run.variables[slot] = found
            write(parts, run, pair[1])
        if pair is None:
            write(otherwise, run, dot)

    return repeated


def write(parts: Sequence[Part], run: Run, dot: Any) -> None:
    """Expands parts, one after the other."""
    for part in parts:
        run.step()
        part(run, dot)
