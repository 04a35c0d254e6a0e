"""The message of a record, whatever its format and arguments are."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from geomon.logs.interrupts import from_signal
from geomon.logs.masking import masked
from geomon.logs.redaction import Redactor
from geomon.logs.showing import class_name, exact, repr_of, str_of

PLAIN = frozenset((str, int, float, bool, type(None)))
"""Types whose values nobody can change: they may be turned into text later."""

_MARK = "x7geomonArgument{}x"
_MOST = 20
_ONE_WORD = re.compile(r"[\w.+/=@:-]*").fullmatch


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
    args = masked(args, redactor)
    if type(args) is not tuple or not has_phrases(args) or not redactor.suspects(text % args):
        return args
    return tuple(
        redactor.replacement if _is_named_secret(text, args, number, redactor) else arg
        for number, arg in enumerate(args)
    )


def _is_named_secret(text: str, args: tuple[Any, ...], number: int, redactor: Redactor) -> bool:
    if type(args[number]) is not str:
        return False
    mark = _MARK.format(number)
    marked = text % (*args[:number], mark, *args[number + 1 :])
    return mark in marked and mark not in redactor.text(marked)


def _misfit(text: str, args: Any, redactor: Redactor) -> str:
    if redactor.text(text) != text:  # it names a secret; which argument that is nobody can tell
        return f"{text} (with arguments that do not fit)"
    if issubclass(type(args), Mapping):
        return f"{text} (with arguments that do not fit: {repr_of(masked(args, redactor))})"
    values = args if isinstance(args, tuple) else (args,)
    shown = ", ".join(repr_of(masked(value, redactor)) for value in values[:_MOST])
    return f"{text} (with arguments that do not fit: {shown})"
