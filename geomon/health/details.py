"""What a check says beside its verdict, as plain JSON values of bounded size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_DEPTH = 4
_ITEMS = 50
_CHARACTERS = 500
_INTS = range(-(2**63), 2**64)


def plain(details: Mapping[Any, Any]) -> dict[str, Any]:
    """The details with JSON's types only; of anything else the name of its class.

    So an exception among them does not show its text.
    """
    return _mapping(details, _DEPTH)


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return int(value) if value in _INTS else _text(f"{value:#x}")
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return _mapping(value, depth)
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth - 1) for item in list(value)[:_ITEMS]]
    return f"<{type(value).__name__}>"


def _mapping(values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    items = list(values.items())[:_ITEMS]
    return {_key(key): _plain(value, depth - 1) for key, value in items}


def _key(key: Any) -> str:
    return _text(key) if isinstance(key, str) else str(_plain(key, 0))


def _text(text: str) -> str:
    text = str.__str__(text)[:_CHARACTERS]
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
