"""Containers about to become text: the values of secret names replaced, all else as it was."""

from __future__ import annotations

from enum import Enum
from typing import Any

from geomon.logs.cleaning import text_of_key
from geomon.logs.redaction import Redactor
from geomon.logs.secret_places import after_names, is_secret_value, named_by
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
        return _items(value, redactor, depth)
    return value


def _items(values: Any, redactor: Redactor, depth: int) -> Any:
    if not depth:
        return values
    first = values[:_MOST]
    hidden = after_names(first, redactor.is_secret_key)
    items = [
        redactor.replacement
        if place in hidden and not _is_number(item)
        else masked(item, redactor, depth - 1)
        for place, item in enumerate(first)
    ]
    changed = any(new is not old for new, old in zip(items, first, strict=False))
    return type(values)((*items, *values[_MOST:])) if changed else values


def _dict(values: dict[Any, Any], redactor: Redactor, depth: int) -> dict[Any, Any]:
    if not depth or len(values) > _MOST:
        return values
    entries = values.copy()
    named = named_by(entries.items())
    copy = {
        key: redactor.replacement
        if _is_secret(key, named, redactor) and not _is_number(value)
        else masked(value, redactor, depth - 1)
        for key, value in entries.items()
    }
    changed = any(copy[key] is not value for key, value in entries.items())
    return copy if changed else values


def _is_secret(key: object, named: tuple[str, str] | None, redactor: Redactor) -> bool:
    if issubclass(type(key), str | bytes | Enum) and redactor.is_secret_key(text_of_key(key)):
        return True
    return is_secret_value(key, named, redactor.is_secret_key)


def _is_number(value: object) -> bool:
    return issubclass(type(value), NUMBERS)
