"""The filters of `read`, as tests of one line."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from geomon.logs.needles import needle
from geomon.logs.patterns import Search, is_literal, search
from geomon.logs.times import bound
from geomon.logs.where import where

Test = Callable[[Mapping[str, Any]], bool]

LEVELS = {
    "TRACE": 5,
    "DEBUG": 10,
    "INFO": 20,
    "NOTICE": 25,
    "SUCCESS": 25,
    "WARN": 30,
    "WARNING": 30,
    "ERROR": 40,
    "CRITICAL": 50,
    "FATAL": 50,
}
_NUMBERED = re.compile(r"(?:Level )?(\d{1,9})", re.IGNORECASE)
_INTEGER = re.compile(r"-?\d+")


@dataclass(frozen=True)
class Criteria:
    """What a line has to be.

    Attributes:
        since: The earliest timestamp, in the form that sorts.
        until: The first timestamp that is too late.
        tests: What the fields have to meet.
        needles: Bytes that have to stand in the line, longest first.
        broken: What the text of a line that is not JSON has to meet; None: there are no such lines.
    """

    since: str | None
    until: str | None
    tests: tuple[Test, ...]
    needles: tuple[bytes, ...]
    broken: Search | None

    def in_time(self, timestamp: str) -> bool:
        """Whether the record's time, empty where it is not known, is one of those asked for."""
        if self.since is not None and timestamp < self.since:
            return False
        return self.until is None or "" < timestamp < self.until


def criteria(
    *,
    request_id: str | None = None,
    user_id: str | int | None = None,
    level: str | int | None = None,
    logger: str | None = None,
    model: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    grep: str | None = None,
    ignore_case: bool = False,
    where: str | None = None,
) -> Criteria:
    """Makes the tests; the arguments are those of `geomon.logs.read`.

    Raises:
        ValueError: A filter cannot be understood; the text says what to write.
    """
    tests: list[Test] = []
    needles: set[bytes | None] = set()
    whole: Search | None = _anything
    for name, value in (("request_id", request_id), ("user_id", user_id), ("model", model)):
        if value is not None:
            tests.append(_equals(name, _text(name, value)))
            needles.add(_value_needle(_text(name, value)))
    if logger is not None:
        tests.append(_below(_text("logger", logger)))
        needles.add(needle(logger, ends=False))
    if grep is not None:
        whole = _grep(grep, ignore_case)
        tests.append(_mentions(whole))
        needles.add(_grep_needle(grep, ignore_case))
    if level is not None:
        tests.append(_at_least(_level(level)))
    if where is not None:
        condition = _where(where)
        tests.append(condition.test)
        needles |= condition.needles
    return Criteria(
        *_bounds(since, until),
        tests=tuple(tests),
        needles=tuple(sorted(filter(None, needles), key=len, reverse=True)),
        broken=whole if level is None and where is None else None,
    )


_where = where  # the argument of that name hides it


def _anything(text: str) -> bool:
    return True


def _bounds(
    since: datetime | str | None, until: datetime | str | None
) -> tuple[str | None, str | None]:
    first = None if since is None else bound("since", since)
    last = None if until is None else bound("until", until)
    if first is not None and last is not None and first >= last:
        raise ValueError(f"since ({first}) is not before until ({last})")
    return first, last


def _text(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise ValueError(f"{name}={value!r} is no text to look for: write {name}='...'")
    return str(value)


def _equals(name: str, wanted: str) -> Test:
    def test(record: Mapping[str, Any]) -> bool:
        value = record.get(name)
        if isinstance(value, str):
            return value == wanted
        return type(value) is int and str(value) == wanted

    return test


def _value_needle(value: str) -> bytes | None:
    quoted = not _INTEGER.fullmatch(value)  # a user id of 42 may stand there as a number
    return needle(value, begins=quoted, ends=quoted)


def _below(wanted: str) -> Test:
    prefix = wanted + "."

    def test(record: Mapping[str, Any]) -> bool:
        name = record.get("logger")
        return isinstance(name, str) and (name == wanted or name.startswith(prefix))

    return test


def _level(level: str | int) -> int:
    number = None if isinstance(level, bool) else _level_number(level)
    if number is None:
        raise ValueError(f"level={level!r} is not known: write DEBUG, INFO, WARNING, ERROR or 25")
    return number


def _level_number(level: Any) -> int | None:
    if isinstance(level, int):
        return level
    if not isinstance(level, str):
        return None
    name = level.strip()
    known = LEVELS.get(name.upper())
    if known is not None:
        return known
    numbered = _NUMBERED.fullmatch(name)
    return int(numbered[1]) if numbered else logging.getLevelNamesMapping().get(name)


def _at_least(lowest: int) -> Test:
    def test(record: Mapping[str, Any]) -> bool:
        number = _level_number(record.get("level"))
        return number is not None and number >= lowest

    return test


def _grep(pattern: str, ignore_case: bool) -> Search:
    if not isinstance(pattern, str) or not pattern:
        raise ValueError(f"grep={pattern!r} is no pattern: write a text or a regular expression")
    try:
        return search(pattern, ignore_case)
    except ValueError as error:
        raise ValueError(f"grep={pattern!r}: {error}") from None


def _grep_needle(pattern: str, ignore_case: bool) -> bytes | None:
    if ignore_case or not is_literal(pattern) or _might_be_number(pattern):
        return None
    return needle(pattern, begins=False, ends=False)


def _might_be_number(pattern: str) -> bool:
    """Whether it may stand in a number, which JSON has more than one way to write."""
    return bool(re.fullmatch(r"[-+.0-9eE]*", pattern)) or pattern in "nan" or pattern in "-inf"


def _mentions(found: Search) -> Test:
    return lambda record: any(found(text) for text in _texts(record))


def _texts(record: Mapping[str, Any]) -> Iterator[str]:
    """Every text and number in a record, at any depth."""
    waiting: list[Any] = list(record.values())
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif value is not None:
            yield str(value).lower() if isinstance(value, bool) else str(value)
