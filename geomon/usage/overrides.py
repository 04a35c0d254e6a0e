"""Prices that the program names itself."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from geomon.usage.rates import Rates, Tariff

KEYS = ("input", "output", "cached_input", "cache_write")
_EXAMPLE = '{"gpt-4o": {"input": 2.5, "output": 10}}'
_DATE = re.compile(r"[-@](?:\d{4}-\d{2}-\d{2}|\d{8})$")


def tariffs(prices: Mapping[str, Mapping[str, float]]) -> dict[str, Tariff]:
    """A tariff a model, from US dollars per million tokens.

    Raises:
        TypeError: If a part is of the wrong type.
        ValueError: If a key is unknown, a number is no price, or a needed price is missing.
    """
    if not isinstance(prices, Mapping):
        raise TypeError(f"prices must be a dict such as {_EXAMPLE}, not {type(prices).__name__}")
    return {model: _tariff(model, entry) for model, entry in prices.items()}


def undated(model: str) -> str:
    """The model's name without the date of its snapshot: `gpt-4o-2024-08-06` is `gpt-4o`."""
    return _DATE.sub("", model)


def _tariff(model: object, entry: object) -> Tariff:
    if not isinstance(model, str):
        raise TypeError(f"prices: the model {model!r} must be a str, such as 'gpt-4o'")
    where = f"prices[{model!r}]"
    if not isinstance(entry, Mapping):
        raise TypeError(
            f"{where} must be a dict of US dollars per million tokens such as "
            f'{{"input": 2.5, "output": 10}}, not {type(entry).__name__}'
        )
    rates = {key: _rate(where, key, value) for key, value in entry.items()}
    _check_complete(where, rates)
    return Tariff(tiers=((-1, Rates(**rates)),))


def _rate(where: str, key: object, value: object) -> float:
    if key not in KEYS:
        raise ValueError(f"{where} has no key {key!r}; write one of {', '.join(KEYS)}")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(
            f"{where}[{key!r}] must be a number, US dollars per million tokens, "
            f"not {type(value).__name__}"
        )
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(
            f"{where}[{key!r}] is {value}; write 0 or more, US dollars per million tokens"
        )
    return value / 1e6


def _check_complete(where: str, rates: Mapping[str, float]) -> None:
    if not rates:
        raise ValueError(f'{where} is empty; write prices such as {{"input": 2.5, "output": 10}}')
    if "input" not in rates and ("cached_input" in rates or "cache_write" in rates):
        raise ValueError(f"{where} has a cache price alone; write the price of 'input' too")
