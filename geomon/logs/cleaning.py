"""One record's values made fit for a JSON line: plain, redacted, and within the limits."""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import replace
from typing import Any

from geomon.logs.escaping import valid
from geomon.logs.interrupts import from_signal
from geomon.logs.limits import Limits
from geomon.logs.redaction import DEFAULT, Redactor
from geomon.logs.secret_places import after_names, is_secret_value, named_by
from geomon.logs.showing import NUMBERS, Entries, Items, Scalar, class_name, shown, text_of

_NODE = 8  # what a value costs beside its characters: quotes, a colon, a comma
_LEAST = 32  # characters that every text may have
_KEY = 200  # characters of a key
_SLACK = 4096  # characters beyond the cut in which a secret that lies across it is looked for
_NOTE = 40  # characters that say how much was cut
_EDGE = 2048  # characters before an end that was cut, where half a secret may stand
_INTS = range(-(2**63), 2**64)  # what orjson writes as numbers


class Cleaner:
    """Cleans the values of one record, within one budget.

    Args:
        redactor: What replaces secrets.
        limits: The bounds of texts and containers.
        budget: Characters that all values together may take; every value within it counts.

    Attributes:
        cut: Whether anything had to be cut.
        left: What is left of the budget.
    """

    def __init__(self, redactor: Redactor, limits: Limits, budget: int) -> None:
        self.left = budget
        self.cut = False
        self._redactor = redactor
        self._limits = limits
        self._open: set[int] = set()

    def field(self, name: str, value: object) -> Any:
        """The value of one field, redacted by its name too; `share` says what it may take."""
        if self.hides(name, value):
            return self._redactor.replacement
        return self.share(value)

    def share(self, value: object) -> Any:
        """A value, which takes half of what is left at most."""
        whole, half = self.left, self.left // 2
        self.left = half
        try:
            return self.value(value)
        finally:
            self.left += whole - half

    def again(self, name: str, value: object) -> Any:
        """A field whose value was cleaned before: the notes of what was cut then may stay."""
        limits = self._limits
        self._limits = replace(limits, text=limits.text + _NOTE, items=limits.items + 1)
        try:
            return self.field(name, value)
        finally:
            self._limits = limits

    def hides(self, name: str, value: object) -> bool:
        """Whether the value stands under a secret's name, and is no number."""
        return self._redactor.is_secret_key(name) and not issubclass(type(value), NUMBERS)

    def value(self, value: object) -> Any:
        """Anything as plain JSON values. Only what a signal's handler raises is raised."""
        self.left -= _NODE
        kind = type(value)
        if kind is str:
            return self.text(value)  # type: ignore[arg-type]
        if value is None or kind is bool:
            return value
        content = value if kind is int or kind is float else shown(value, self._limits.items)
        if isinstance(content, Entries | Items):
            return self._container(value, content)
        return self._scalar(content)  # type: ignore[arg-type]

    def text(self, text: str) -> str:
        """The text redacted, then cut."""
        keep = min(self._limits.text, max(self.left, _LEAST))
        if len(text) > keep:
            self.cut = True
            text = f"{self._head(text, keep)}… ({len(text) - keep} characters cut)"
        else:
            text = self.redacted(text)
        text = valid(text)
        self.left -= len(text)
        return text

    def redacted(self, text: str) -> str:
        """The text without secrets; on no account the text as it was."""
        try:
            return self._redactor.text(text)
        except BaseException as error:
            if from_signal(error):
                raise
            return f"<text that cannot be redacted: {class_name(type(error))}>"

    def key(self, key: object) -> str:
        """A key as a text."""
        text = key if type(key) is str else self._key_text(key)
        if len(text) > _KEY:
            self.cut = True
            text = f"{self._head(text, _KEY)}… ({len(text) - _KEY} characters cut)"
        else:
            text = self.redacted(text)
        self.left -= len(text)
        return valid(text)

    def _key_text(self, key: object) -> str:
        content = shown(key, self._limits.items)
        if isinstance(content, str):
            return content
        if isinstance(content, Entries | Items):
            return str(self.value(key))
        return text_of(content)

    def _head(self, text: str, keep: int) -> str:
        """The beginning of a text, in which no secret is left in part."""
        head = self.redacted(text[: keep + _SLACK])
        if len(text) <= keep + _SLACK or head.endswith(self._redactor.replacement):
            return head[:keep]
        return head[: min(keep, max(0, len(head) - _EDGE))]

    def _scalar(self, value: Scalar) -> Scalar:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, float):
            return value if math.isfinite(value) else _not_finite(value)
        if value is None or isinstance(value, bool) or value in _INTS:
            return value
        return self.text(_digits(value))

    def _container(self, value: object, content: Entries | Items) -> Any:
        if id(value) in self._open:
            return "<circular>"
        if len(self._open) >= self._limits.depth:
            self.cut = True
            return "… (nested too deep)"
        self._open.add(id(value))
        try:
            if isinstance(content, Entries):
                return self._mapping(content)
            return self._list(content, ordered=not issubclass(type(value), set | frozenset))
        finally:
            self._open.discard(id(value))

    def _mapping(self, entries: Entries) -> dict[str, Any]:
        result: dict[str, Any] = {}
        named, is_secret_key = named_by(entries.pairs), self._redactor.is_secret_key
        for key, value in entries.pairs:
            if self.left <= 0:
                break
            name = unused(self.key(key), result)
            secret = is_secret_key(text_of_key(key)) or is_secret_value(key, named, is_secret_key)
            result[name] = self._unless(secret, value)
        if entries.total > len(result):
            self.cut = True
            result[unused("…", result)] = f"({entries.total - len(result)} keys cut)"
        return result

    def _list(self, items: Items, ordered: bool) -> list[Any]:
        result: list[Any] = []
        hidden = after_names(items.items, self._redactor.is_secret_key) if ordered else set()
        for place, item in enumerate(items.items):
            if self.left <= 0:
                break
            result.append(self._unless(place in hidden, item))
        if items.total > len(result):
            self.cut = True
            result.append(f"… ({items.total - len(result)} items cut)")
        return result

    def _unless(self, secret: bool, value: object) -> Any:
        """The value, unless it is a secret's, and no number."""
        if secret and not issubclass(type(value), NUMBERS):
            return self._redactor.replacement
        return self.value(value)


def cleaned(values: dict[str, Any]) -> dict[str, Any]:
    """A copy in which secrets are replaced as in a log record."""
    limits = Limits()
    copy: dict[str, Any] = Cleaner(DEFAULT, limits, limits.size).value(values)
    return copy


def unused(name: str, taken: Container[str]) -> str:
    """The name, with a number behind it where it is taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free


def text_of_key(key: object) -> str:
    """What a key says, for judging it."""
    if type(key) is str:
        return key
    if type(key) is bytes:
        return key.decode("latin-1")
    return text_of(key)


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _digits(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # more digits than Python turns into text
        return hex(number)
