"""Expressions of templates: calls of functions, fields, variables."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from geomon.alerts.templates.errors import TemplateError
from geomon.alerts.templates.functions import FUNCTIONS, NOT_IN
from geomon.alerts.templates.limits import check_text
from geomon.alerts.templates.running import Run, Value
from geomon.alerts.templates.values import field, is_true

_SHORT = {"and": False, "or": True}


def check_name(name: str) -> None:
    """Raises TemplateError where there is no such function."""
    if name in FUNCTIONS or name in _SHORT:
        return
    if name in NOT_IN:
        raise TemplateError(f"the function {name} is not in: {NOT_IN[name]}")
    close = difflib.get_close_matches(name, FUNCTIONS, 1)
    hint = f"did you mean {close[0]}?" if close else f'write "{name[:50]}" where it is a text'
    raise TemplateError(f"the function {name[:50]} is not known: {hint}")


def check_count(name: str, count: int) -> None:
    """Raises TemplateError where a function does not take so many arguments."""
    function = FUNCTIONS.get(name)
    least = 1 if function is None else len(function.takes)
    is_open = function is None or function.rest
    if count < least or (count > least and not is_open):
        words = f"{'at least ' if is_open else ''}{least}"
        raise TemplateError(f"{name} takes {words} argument{'s' * (least != 1)}, not {count}")


def call(name: str, arguments: Sequence[Value], constant: Any) -> Value:
    """A call.

    Args:
        name: The function's.
        arguments: In order.
        constant: The first argument, where it is a constant.

    Raises:
        TemplateError: If it can only fail.
    """
    check_count(name, len(arguments))
    if name in _SHORT:
        return _short(arguments, _SHORT[name])
    function = FUNCTIONS[name]
    if function.check is not None and isinstance(constant, str):
        try:
            function.check(constant)
        except ValueError as error:
            raise TemplateError(f"{name}: {error}") from None

    def called(run: Run, dot: Any) -> Any:
        run.step()
        value = function(run, [argument(run, dot) for argument in arguments])
        if isinstance(value, str):
            check_text(len(value))
        return value

    return called


def _short(arguments: Sequence[Value], stop: bool) -> Value:
    *others, last = arguments

    def first(run: Run, dot: Any) -> Any:
        for argument in others:
            value = argument(run, dot)
            if is_true(value) is stop:
                return value
        return last(run, dot)

    return first


def fields(of: Value, names: Sequence[str]) -> Value:
    """`.a.b` of a value."""

    def found(run: Run, dot: Any) -> Any:
        value = of(run, dot)
        for name in names:
            value = field(value, name)
        return value

    return found


def variable(slot: int) -> Value:
    """A variable's value."""

    def found(run: Run, dot: Any) -> Any:
        return run.variables[slot]

    return found


def stored(value: Value, slot: int) -> Value:
    """The value, which a variable keeps."""

    def set_to(run: Run, dot: Any) -> Any:
        run.variables[slot] = value(run, dot)
        return run.variables[slot]

    return set_to
