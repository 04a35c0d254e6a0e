"""One line of a log file, as a record."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson

from geomon.logs.safe import safe_json


class Record(dict[str, Any]):
    """A record as it was written: its fields, in the order of the line.

    Attributes:
        raw: The line itself, without its end; of a broken one at most 64 KiB.
        broken: Whether the line is not a JSON object; its text is the only field, `message`, and
            says how much of it was cut.
    """

    __slots__ = ("broken", "raw")

    def __init__(
        self, fields: dict[str, Any] | Iterable[tuple[str, Any]], raw: bytes, broken: bool = False
    ) -> None:
        super().__init__(fields)
        self.raw = raw
        self.broken = broken


SHOWN = 64 * 1024
"""How many bytes of a line that is not JSON are kept."""


def broken(raw: bytes) -> Record:
    """The record of a line that is not JSON; its text says how much of it was cut."""
    shown = raw[:SHOWN]
    text = shown.decode(errors="backslashreplace")
    if len(raw) > SHOWN:
        text += f"… ({len(raw) - SHOWN:,} bytes cut)"
    return Record({"message": text}, shown, broken=True)


def parse(line: bytes) -> dict[str, Any] | None:
    """The fields of a line; None where it is not a JSON object."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        fields = _parse_leniently(line)
    return fields if type(fields) is dict else None


def _parse_leniently(line: bytes) -> Any:
    """What other writers give and orjson refuses: NaN, lone surrogates, a byte order mark."""
    try:
        return json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None


def one_line(record: Record) -> str:
    """The JSON of a record as it was written, safe for a terminal."""
    if record.broken:
        return safe_json(json.dumps({**record, "broken": True}, ensure_ascii=False))
    return safe_json(record.raw.decode("utf-8-sig"))
