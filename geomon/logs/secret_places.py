"""Where a secret stands in a container: beside what names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

_NAMING = frozenset(("name", "key", "header"))
_MOST = 8  # entries in which a name is looked for


def named_by(pairs: Iterable[tuple[Any, Any]]) -> tuple[str, str] | None:
    """The key of a value that another entry names, in lower case, and that name.

    `{"name": "api_key", "value": …}` gives `("value", "api_key")`. An error of pydantic's,
    `{"loc": ("body", "password"), "input": …}`, gives `("input", "body_password")`.
    """
    for key, value in islice(pairs, _MOST):
        if type(key) is not str:
            continue
        if type(value) is str and key.lower() in _NAMING:
            return "value", value
        if key == "loc" and type(value) in (tuple, list):
            return "input", "_".join(part for part in value if type(part) is str)
    return None


def is_secret_value(
    key: object, named: tuple[str, str] | None, is_secret_key: Callable[[str], bool]
) -> bool:
    """Whether the value of a key is the one that `named_by` found a secret's name for."""
    return (
        named is not None
        and type(key) is str
        and key.lower() == named[0]
        and is_secret_key(named[1])
    )


def after_names(items: Sequence[Any], is_secret_key: Callable[[str], bool]) -> set[int]:
    """The places of items that a secret's name stands before.

    Both a pair, as servers keep headers, `(b"authorization", …)`, and the arguments of a command,
    `["login", "--password", …]`.
    """
    if len(items) == 2 and type(items[0]) in (str, bytes):
        name = items[0] if type(items[0]) is str else items[0].decode("latin-1")
        return {1} if name.count(" ") <= 1 and is_secret_key(name) else set()
    return {
        place
        for place, option in enumerate(items[:-1], start=1)
        if type(option) is str
        and option.startswith("-")
        and "=" not in option
        and is_secret_key(option)
        and not (type(items[place]) is str and items[place].startswith("--"))
    }
