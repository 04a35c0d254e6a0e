"""The prices of the library `genai-prices`, as tariffs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from geomon.usage.rates import Rates, Tariff

MOST_MODELS = 4096
"""So many models' prices are remembered; then all are forgotten."""

_TOKEN_PRICES = ("input_mtok", "output_mtok", "requests_kcount")


class PriceData:
    """Prices by model and provider, remembered as long as the library's data stay the same.

    Which of a model's prices holds (by date, by time of day) is asked of the library each time.

    Raises:
        ImportError: If `genai-prices` is not installed.
    """

    def __init__(self) -> None:
        from genai_prices import data_snapshot

        self._snapshot_of: Callable[[], Any] = data_snapshot.get_snapshot
        self._known: tuple[Any, _Models] = (data_snapshot.get_snapshot(), {})

    def tariff(self, model: str, provider: str | None, at: float) -> Tariff | None:
        """The tariff that holds at a time (seconds since the epoch); None for unknown models."""
        snapshot, models = self._known
        if snapshot is not self._snapshot_of() or len(models) >= MOST_MODELS:
            snapshot, models = self._known = (self._snapshot_of(), {})
        try:
            prices = models[model, provider]
        except KeyError:
            prices = models[model, provider] = _find(snapshot, model, provider)
        return None if prices is None else prices.at(at)


class _ModelPrices:
    def __init__(self, info: Any) -> None:
        self._info = info
        self._tariffs: dict[int, Tariff | None] = {}
        self._constant = not isinstance(info.prices, list)
        self._only = _tariff(info.prices) if self._constant else None

    def at(self, moment: float) -> Tariff | None:
        if self._constant:
            return self._only
        prices = self._info.get_prices(datetime.fromtimestamp(moment, UTC))
        key = id(prices)  # `_info` keeps all of its prices alive
        if key not in self._tariffs:
            self._tariffs[key] = _tariff(prices)
        return self._tariffs[key]


_Models = dict[tuple[str, "str | None"], "_ModelPrices | None"]


def _find(snapshot: Any, model: str, provider: str | None) -> _ModelPrices | None:
    try:
        _, info = snapshot.find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    return _ModelPrices(info)


def _tariff(prices: Any) -> Tariff | None:
    """None where the model is sold in other units alone (hours of audio); a free one costs 0."""
    named = [key for key, value in vars(prices).items() if value is not None]
    if named and not any(key in _TOKEN_PRICES for key in named):
        return None
    starts = sorted({tier.start for value in vars(prices).values() for tier in _tiers(value)})
    bounds = [*reversed(starts), -1]
    return Tariff(
        tiers=tuple((start, _rates(prices, start)) for start in bounds),
        request=float(prices.requests_kcount or 0) / 1e3,
    )


def _tiers(price: Any) -> Any:
    return getattr(price, "tiers", ())


def _rates(prices: Any, start: int) -> Rates:
    return Rates(
        input=_rate(prices.input_mtok, start) or 0.0,
        output=_rate(prices.output_mtok, start) or 0.0,
        cached_input=_rate(prices.cache_read_mtok, start),
        cache_write=_rate(prices.cache_write_mtok, start),
        reasoning=_rate(prices.output_reasoning_mtok, start),
    )


def _rate(price: Any, start: int) -> float | None:
    """US dollars a token, for an input just beyond `start` tokens."""
    if price is None:
        return None
    for tier in reversed(_tiers(price)):
        if start >= tier.start:
            return float(tier.price) / 1e6
    return float(getattr(price, "base", price)) / 1e6
