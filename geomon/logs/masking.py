"""Containers about to become text: the values of secret names replaced, all else as it was."""

from __future__ import annotations

from typing import Any

from geomon.logs.redaction import Redactor
from geomon.logs.showing import NUMBERS

_DEPTH = 8
_MOST = 1_000


def masked(value: Any, redactor: Redactor, depth: int = _DEPTH) -> Any:
    """The same object where nothing in it stands under a secret's name; else a copy without.

    Only plain dicts, lists and tuples are looked into, and large or deep ones not to their end.
    """
    kind = type(value)
    if kind is dict:
        return _dict(value, redactor, depth)
    if kind is list or kind is tuple:
        items = [masked(item, redactor, depth - 1) for item in value[:_MOST]] if depth else value
        changed = any(new is not old for new, old in zip(items, value, strict=False))
        return kind((*items, *value[_MOST:])) if changed else value
    return value


def _dict(values: dict[Any, Any], redactor: Redactor, depth: int) -> dict[Any, Any]:
    if not depth or len(values) > _MOST:
        return values
    copy = {
        key: redactor.replacement
        if type(key) is str and redactor.is_secret_key(key) and not _is_number(value)
        else masked(value, redactor, depth - 1)
        for key, value in values.copy().items()
    }
    changed = any(copy[key] is not value for key, value in values.items())
    return copy if changed else values


def _is_number(value: object) -> bool:
    return issubclass(type(value), NUMBERS)
