"""How objects that JSON does not know are shown. Whatever an object does, nothing is raised."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, time
from decimal import Decimal
from enum import Enum
from itertools import islice
from typing import Any

from pythonjsonlogger.orjson import orjson_default

from geomon.logs.interrupts import from_signal

Scalar = str | int | float | bool | None

NUMBERS = (int, float, complex, Decimal, type(None))
"""What is never a secret, whatever it is called."""


class Entries:
    """The entries of something like a mapping, as far as they are wanted.

    Attributes:
        pairs: At most as many as asked for.
        total: How many there are.
    """

    def __init__(self, pairs: list[tuple[Any, Any]], total: int) -> None:
        self.pairs = pairs
        self.total = total


class Items:
    """The items of something like a list, as far as they are wanted."""

    def __init__(self, items: list[Any], total: int) -> None:
        self.items = items
        self.total = total


def shown(value: object, most: int) -> Scalar | Entries | Items:
    """A value's content, one level of it.

    Args:
        value: Anything. Iterators, generators and coroutines are not touched.
        most: How many entries or items are wanted.
    """
    try:
        return _shown(value, most)
    except BaseException as error:
        if from_signal(error):
            raise
        return text_of(value)


def text_of(value: object) -> str:
    """The text of an object, or what kept it from having one."""
    try:
        return exact(orjson_default(value))
    except BaseException as error:
        if from_signal(error):
            raise
        return f"<{class_name(type(value))} that cannot be shown: {class_name(type(error))}>"


def str_of(value: object) -> str:
    """What `str` says, or what kept it from saying it."""
    try:
        return exact(str(value))
    except BaseException as error:
        if from_signal(error):
            raise
        return f"<{class_name(type(value))} that cannot be shown: {class_name(type(error))}>"


def repr_of(value: object) -> str:
    """The `repr` of an object, or what kept it from having one."""
    try:
        return exact(repr(value))
    except BaseException as error:
        if from_signal(error):
            raise
        return f"<{class_name(type(value))} that cannot be shown: {class_name(type(error))}>"


def class_name(cls: type) -> str:
    """The qualified name, without `builtins`."""
    try:
        module, name = cls.__module__, cls.__qualname__
        return exact(name if module == "builtins" else f"{module}.{name}")
    except BaseException as error:
        if from_signal(error):
            raise
        return exact(type.__dict__["__name__"].__get__(cls))


def exact(text: str) -> str:
    """A plain `str` of the same characters: a subclass may say anything about itself."""
    return text if type(text) is str else str.__str__(text)


def _shown(value: Any, most: int) -> Scalar | Entries | Items:
    cls = type(value)
    for kinds, show in _KINDS:
        if issubclass(cls, kinds):
            return show(value, most)
    if dataclasses.is_dataclass(cls):
        return _attributes(value, [f.name for f in dataclasses.fields(cls) if f.repr])
    if hasattr(cls, "__attrs_attrs__"):
        return _attributes(value, [a.name for a in cls.__attrs_attrs__ if a.repr])
    if callable(getattr(cls, "model_dump", None)):
        return _entries(value.model_dump(), most)
    if issubclass(cls, Mapping):
        return Entries(list(islice(value.items(), most)), len(value))
    if hasattr(cls, "item") and hasattr(cls, "dtype") and value.ndim == 0:
        return _scalar(value.item())
    return text_of(value)


def _scalar(value: Any) -> Scalar:
    return value if type(value) in (str, int, float, bool) else text_of(value)


def _enum(value: Enum, most: int) -> Scalar | Entries | Items:
    return shown(value.value, most) if not isinstance(value.value, Enum) else text_of(value)


def _entries(value: dict[Any, Any], most: int) -> Entries:
    try:
        return Entries(list(islice(dict.items(value), most)), dict.__len__(value))
    except RuntimeError:  # another thread changes it
        copied = dict(dict.items(value))
        return Entries(list(islice(copied.items(), most)), len(copied))


def _list(value: list[Any], most: int) -> Items:
    return Items(list.__getitem__(value, slice(most)), list.__len__(value))


def _tuple(value: tuple[Any, ...], most: int) -> Entries | Items:
    names = getattr(type(value), "_fields", None)
    if isinstance(names, tuple) and len(names) == tuple.__len__(value):
        return Entries(list(zip(names, tuple.__iter__(value), strict=True))[:most], len(names))
    return Items(list(tuple.__getitem__(value, slice(most))), tuple.__len__(value))


def _iterated(cls: type[Iterable[Any]], length: Callable[[Any], int]) -> Any:
    iterate: Callable[[Any], Iterator[Any]] = cls.__iter__

    def show(value: Any, most: int) -> Items:
        try:
            return Items(list(islice(iterate(value), most)), length(value))
        except RuntimeError:  # another thread changes it
            copied = list(iterate(value))
            return Items(copied[:most], len(copied))

    return show


def _bytes(value: Any, most: int) -> str:
    return bytes(value).decode("utf-8", "backslashreplace")


def _int(value: int, most: int) -> Scalar:
    return value if type(value) is bool else int.__pos__(value)


def _attributes(value: object, names: list[str]) -> Entries:
    return Entries([(name, _attribute(value, name)) for name in names], len(names))


def _attribute(value: object, name: str) -> Any:
    try:
        return getattr(value, name)
    except BaseException as error:
        if from_signal(error):
            raise
        return f"<attribute that cannot be read: {class_name(type(error))}>"


def _exception(value: BaseException, most: int) -> str:
    try:
        return f"{class_name(type(value))}: {exact(str(value))}"
    except BaseException as error:
        if from_signal(error):
            raise
        return f"{class_name(type(value))}: <{class_name(type(error))} from its __str__>"


_KINDS: tuple[tuple[Any, Callable[[Any, int], Scalar | Entries | Items]], ...] = (
    (Enum, _enum),
    (str, lambda value, most: exact(value)),
    (int, _int),
    (float, lambda value, most: float.__pos__(value)),
    (dict, _entries),
    (list, _list),
    (tuple, _tuple),
    (set, _iterated(set, set.__len__)),
    (frozenset, _iterated(frozenset, frozenset.__len__)),
    (deque, _iterated(deque, deque.__len__)),
    ((bytes, bytearray, memoryview), _bytes),
    ((date, time), lambda value, most: exact(value.isoformat())),
    (BaseException, _exception),
    (type, lambda value, most: class_name(value)),
)
