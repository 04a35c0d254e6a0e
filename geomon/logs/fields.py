"""Finding a field of a record by its path: `duration`, `exception.type`, `usage.0.model`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

_PATH = re.compile(r"[\w@-]+(?:\.[\w@-]+)*")


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""What a path gives where a record has no such field."""


def field(path: str) -> Callable[[Mapping[str, Any]], Any]:
    """A function that gives the field at `path`, or `MISSING`.

    A field whose own name holds dots comes first; a number counts into a list.

    Raises:
        ValueError: `path` is not names with dots between them.
    """
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise ValueError(f"{path!r} is not a field: write names with dots, as in exception.type")
    if "." not in path:
        return lambda record: record.get(path, MISSING)
    parts = path.split(".")

    def found(record: Mapping[str, Any]) -> Any:
        whole = record.get(path, MISSING)
        return _walk(record, parts) if whole is MISSING else whole

    return found


def _walk(value: Any, parts: list[str]) -> Any:
    for part in parts:
        if isinstance(value, dict):
            value = value.get(part, MISSING)
        elif isinstance(value, list) and _is_index(part, value):
            value = value[int(part)]
        else:
            return MISSING
    return value


def _is_index(part: str, items: list[Any]) -> bool:
    return len(part) < 10 and part.isdecimal() and int(part) < len(items)
