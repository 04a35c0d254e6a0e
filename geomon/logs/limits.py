"""How large a log record may become."""

from __future__ import annotations

from dataclasses import dataclass, fields

_LEAST = {"size": 2_048, "text": 64, "depth": 1, "items": 1, "frames": 2}
_MOST = {"depth": 100}


@dataclass(frozen=True)
class Limits:
    """Bounds of one record. What is cut says so where it stood, and by `"truncated": true`.

    Attributes:
        size: Bytes of the whole line, its newline included. At least 2,048.
        text: Characters of one text: the message, a value, an exception's message. At least 64.
        depth: How many containers may stand inside one another in a value. 1 to 100.
        items: Entries of one container, extras of one record, causes of one exception.
        frames: Frames of one traceback; the outermost and innermost stay. At least 2.

    Raises:
        TypeError: one is not a whole number.
        ValueError: one is out of its range.
    """

    size: int = 65_536
    text: int = 16_384
    depth: int = 8
    items: int = 200
    frames: int = 50

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name))


def _check(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"Limits({name}={value!r}): write a whole number")
    if value < _LEAST[name]:
        raise ValueError(f"Limits({name}={value}): write {_LEAST[name]} or more")
    if value > _MOST.get(name, value):
        raise ValueError(f"Limits({name}={value}): write {_MOST[name]} or less")
