"""What can be seen to be wrong with a notifier and its arguments before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from geomon.dispatch import is_lazy


def check_notifier(notifier: Any) -> None:
    """Whether alerts can be handed to it.

    Raises:
        TypeError: it cannot be called, or calling it would do nothing.
    """
    if isinstance(notifier, type):
        raise TypeError(
            f"the notifier {notifier.__name__} is a class: write {notifier.__name__}(...), an "
            "object that is called with a list of alerts"
        )
    if not callable(notifier):
        raise TypeError(
            f"a notifier is a function that takes a list of alerts, not a {_kind(notifier)}: "
            "write notifiers=[send], or EmailNotifier(...)"
        )
    if any(is_lazy(function) for function in (notifier, type(notifier).__call__)):
        raise TypeError(
            f"the notifier {name_of(notifier)} is an async or generator function, whose body "
            "nobody would run: write a plain function, such as "
            "lambda alerts: asyncio.run(send(alerts)); it has a thread of its own"
        )


def name_of(notifier: Any) -> str:
    """What to call a notifier: its `name`, or what the program calls it."""
    name = getattr(notifier, "name", None)
    if isinstance(name, str) and name:
        return name
    name = getattr(notifier, "__name__", None)
    return name if isinstance(name, str) else type(notifier).__name__


def number(name: str, value: object, most: float = math.inf) -> float:
    """A number above zero.

    Raises:
        TypeError: it is no number.
        ValueError: it is not above zero, or beyond `most`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}={value!r}: write a number, such as {name}=10")
    if not 0 < value < math.inf or value > most:
        limit = "" if most == math.inf else f", at most {most:g}"
        raise ValueError(f"{name}={value!r}: write a number above zero{limit}")
    return value


def text(name: str, value: object, example: str) -> str:
    """A text that is not empty and has one line. The value is not shown: it may be secret.

    Raises:
        TypeError: it is no text.
        ValueError: it is empty, or holds control characters.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} is a text, not a {_kind(value)}: write {name}={example!r}")
    if not value or any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise ValueError(f"{name} is empty or holds control characters: write {name}={example!r}")
    return value


def texts(name: str, values: object, example: str) -> list[str]:
    """A list of such texts, of at least one.

    Raises:
        TypeError: it is no list of texts.
        ValueError: it is empty, or a text is.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise TypeError(f"{name} takes a list, not a {_kind(values)}: write {name}=[{example!r}]")
    found = [text(name, value, example) for value in values]
    if not found:
        raise ValueError(f"{name} is empty: write {name}=[{example!r}]")
    return found


def _kind(value: object) -> str:
    return type(value).__name__
