"""The message of a record, whatever its format and arguments are."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from operator import index
from typing import Any

from geomon.logs.interrupts import from_signal
from geomon.logs.masking import masked
from geomon.logs.redaction import Redactor
from geomon.logs.showing import NUMBERS, class_name, exact, repr_of, str_of

PLAIN = frozenset((str, int, float, bool, type(None)))
"""Types whose values nobody can change: they may be turned into text later."""

_MARKS = re.compile("x7geomon[0-9]+x").findall
_MOST = 20
_ONE_WORD = re.compile(r"[\w.+/=@:-]*").fullmatch
_NAMES = re.compile(r"%\(([^()]*)\)").findall
_LAST_WORDS = re.compile(r"(?<![\w-])(?:[\w-]{1,64}+\ )?[\w-]{1,64}+\W{0,8}\Z").search
_END = 160  # characters in which the last words of a text are looked for


def message(record: logging.LogRecord, values: Mapping[str, Any], redactor: Redactor) -> str:
    """The message of any record, whose attributes are `values`.

    It may still hold secrets that its text gives away. Those that only the arguments give away are
    replaced: the values of secret names in dicts, and an argument that stands at `password=%s`.
    """
    try:
        if type(record).getMessage is not logging.LogRecord.getMessage:
            return exact(str(record.getMessage()))
        text, args = _text(values["msg"], redactor), values["args"]
    except BaseException as error:
        if from_signal(error):
            raise
        return f"<message that cannot be shown: {class_name(type(error))}>"
    return formatted(text, args, redactor) if args else text


def formatted(text: str, args: Any, redactor: Redactor) -> str:
    """A format with its arguments, which need not fit."""
    try:
        return exact(text % _safe(text, args, redactor))
    except BaseException as error:
        if from_signal(error):
            raise
        return _misfit(text, args, redactor)


def has_phrases(args: tuple[Any, ...]) -> bool:
    """Whether an argument is a text of several words: redacted in a message, some might stay."""
    return any(type(arg) is str and not _ONE_WORD(arg) for arg in args)


def _text(message: Any, redactor: Redactor) -> str:
    if issubclass(type(message), str):
        return str.__str__(message)
    return str_of(masked(message, redactor))


def _safe(text: str, args: Any, redactor: Redactor) -> Any:
    """The arguments of a format, without those that stand under a secret's name."""
    values = _masked_places(text, args, redactor)
    if len(values) > 1 or redactor.suspects(text):
        for place in _secret_places(text, values, redactor):
            values[place] = redactor.replacement
    return _filled(values)


def _masked_places(text: str, args: Any, redactor: Redactor) -> dict[Any, Any]:
    """The arguments by their number, or those that are used by their name."""
    if issubclass(type(args), Mapping):
        plain = text.replace("%%", "")
        if "%(" in plain:
            return dict(masked({name: args[name] for name in _NAMES(plain)}, redactor))
        args = (args,) if "%" in plain else ()
    given = args if isinstance(args, tuple) else (args,)
    return {place: masked(value, redactor) for place, value in enumerate(given)}


def _filled(values: dict[Any, Any]) -> Any:
    """What a format takes: a tuple, or a dict where it has names."""
    return values if str in map(type, values) else tuple(values.values())


def _secret_places(text: str, values: dict[Any, Any], redactor: Redactor) -> list[Any]:
    """Where arguments stand that are redacted when each is one word.

    All are looked at together, whatever their length and number.
    """
    stand_ins = {
        place: _StandIn(value, f"x7geomon{number}x", redactor) if _may_stay(value) else value
        for number, (place, value) in enumerate(values.items())
    }
    shown = text % _filled(stand_ins)
    gone = set(_MARKS(shown)).difference(_MARKS(redactor.text(shown)))
    return [place for place, one in stand_ins.items() if type(one) is _StandIn and one.mark in gone]


def _may_stay(value: object) -> bool:
    """Whether parts of an argument might stay when a text is redacted in which it stands."""
    if type(value) is str:
        return len(value) > 1 and not _ONE_WORD(value)
    return not issubclass(type(value), NUMBERS)


class _StandIn:
    """A word that stands for an argument, and its last words where they may name the next one."""

    def __init__(self, value: Any, mark: str, redactor: Redactor) -> None:
        self.mark = mark
        self._value = value
        self._redactor = redactor

    def __str__(self) -> str:
        return self._with_name(exact(str(self._value)))

    def __repr__(self) -> str:
        return self._with_name(exact(repr(self._value)))

    def __int__(self) -> int:
        return int(self._value)

    def __index__(self) -> int:
        return index(self._value)

    def __float__(self) -> float:
        return float(self._value)

    def _with_name(self, text: str) -> str:
        words = _LAST_WORDS(text[-_END:])
        if words is None or not self._redactor.is_secret_key(words[0]):
            return self.mark
        return f"{self.mark} {words[0]}"


def _misfit(text: str, args: Any, redactor: Redactor) -> str:
    if redactor.text(text) != text:  # it names a secret; which argument that is nobody can tell
        return f"{text} (with arguments that do not fit)"
    if issubclass(type(args), Mapping):
        return f"{text} (with arguments that do not fit: {repr_of(masked(args, redactor))})"
    values = args if isinstance(args, tuple) else (args,)
    shown = ", ".join(repr_of(masked(value, redactor)) for value in values[:_MOST])
    return f"{text} (with arguments that do not fit: {shown})"
