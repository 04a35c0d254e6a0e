"""Whether a check can be what was written; each error says what to write."""

from __future__ import annotations

import inspect
import math
from typing import Any

from geomon.health.checking import Terms


def checked_terms(terms: Terms) -> Terms:
    """The terms, if they can be.

    Raises:
        TypeError, ValueError: one of them cannot be.
    """
    _name(terms.name)
    _group(terms.group)
    _seconds("timeout", terms.timeout, "timeout=0.5")
    _seconds("cache", terms.cache, "cache=5, or cache=0 for none")
    if terms.timeout == 0:
        raise ValueError("timeout=0: write the seconds that the check may take, timeout=0.5")
    if not isinstance(terms.critical, bool):
        raise TypeError(f"critical={terms.critical!r}: write critical=True or critical=False")
    if terms.loop not in ("private", "caller"):
        raise ValueError(f'loop={terms.loop!r}: write loop="private" or loop="caller"')
    return terms


def check_function(function: Any, terms: Terms) -> None:
    """Whether the function can be called as a check.

    Raises:
        TypeError: it cannot.
    """
    told = f"the health check {terms.name!r}"
    if isinstance(function, type) or not callable(function):
        raise TypeError(f"{told} is {function!r}: write a function that takes nothing")
    shapes = (function, getattr(type(function), "__call__", None))  # noqa: B004 - not whether
    if any(inspect.isgeneratorfunction(s) or inspect.isasyncgenfunction(s) for s in shapes):
        raise TypeError(
            f"{told} is a generator function, whose body nobody would run: write return"
        )
    if terms.loop == "caller" and not any(map(inspect.iscoroutinefunction, shapes)):
        raise TypeError(f'{told} is no async function: leave loop="caller" out')
    needed = _needed(function)
    if needed:
        raise TypeError(
            f"{told} takes {', '.join(needed)}, which nobody would give: write a function that "
            f"takes nothing; of an object, check({terms.name!r}, the_object.method)"
        )


def _name(name: Any) -> None:
    if not isinstance(name, str):
        raise TypeError(f'check({name!r}): write the name first, @check("database")')
    if not name.strip() or len(name) > 100:
        raise ValueError(f"check({name[:120]!r}): write a name of 1 to 100 characters")
    _text(f"check({name!r})", name)


def _group(group: Any) -> None:
    if not isinstance(group, str) or not group.strip():
        raise TypeError(f'group={group!r}: write the name of a group, group="ready"')
    _text(f"group={group!r}", group)
    if group == "live":
        raise ValueError(
            'group="live": liveness looks at no checks, since a probe that fails restarts the '
            'process, which mends no database: write group="ready"'
        )


def _text(written: str, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{written}: write characters that UTF-8 has, no surrogates") from None


def _seconds(name: str, value: Any, example: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}={value!r}: write seconds, {example}")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name}={value!r}: write seconds, {example}")


def _needed(function: Any) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a built-in that does not say
        return []
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in optional]
