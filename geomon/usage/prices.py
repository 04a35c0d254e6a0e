"""What a usage costs in US dollars."""

from __future__ import annotations

from collections.abc import Mapping

from geomon import clock, losses
from geomon.call import Usage
from geomon.usage import overrides as own
from geomon.usage.price_data import PriceData
from geomon.usage.rates import Tariff

_NO_COUNTS = (None,) * 5


class PriceBook:
    """Prices by model: the program's own first, then those of `genai-prices` if installed.

    Args:
        overrides: US dollars per million tokens by model and kind of token:
            `{"gpt-4o": {"input": 2.5, "output": 10, "cached_input": 1.25, "cache_write": 3.0}}`.
            Kinds of cache without a price cost what input costs; a missing `input` or `output`
            costs nothing. A model's dated snapshots (`gpt-4o-2024-08-06`) without an entry of
            their own cost what the model costs, at every provider.

    Raises:
        TypeError: If an override is of the wrong type.
        ValueError: If an override has an unknown key or a number that is no price.
    """

    def __init__(self, overrides: Mapping[str, Mapping[str, float]] | None = None) -> None:
        self._own = own.tariffs({} if overrides is None else overrides)
        self._data: PriceData | None = None
        self._loaded = False

    def cost(
        self, usage: Usage, at: float | None = None, requested: str | None = None
    ) -> float | None:
        """The US dollars a call costs that used this.

        Tiers by input size, cache prices, fees a request, and prices that change by date or time
        of day are respected; discounts of batch and priority processing are not known here.
        A provider that is named is never replaced by another that sells the same model.

        Args:
            usage: Its unknown counts cost nothing.
            at: When the call was made, seconds since the epoch; None is now.
            requested: The model that the program asked for, whose price holds where the one that
                answered has none: a deployment's or an alias's name, or a response without one.

        Returns:
            None where no count or no price is known, and where the counts contradict each other
            (more cached than input tokens), which is a counted loss.
        """
        if usage[2:7] == _NO_COUNTS:
            return None
        try:
            tariff = self._tariff(usage, at, requested)
            return None if tariff is None else _cost(tariff, usage)
        except Exception as error:
            losses.failed("prices", "failed", error, f"the price of {usage.model!r:.200}")
            return None

    def load(self) -> bool:
        """Imports `genai-prices` (0.1 to 0.4 s), which the first cost else does.

        Returns:
            Whether its prices can be used.
        """
        if not self._loaded:
            self._data = _price_data()
            self._loaded = True
        return self._data is not None

    def _tariff(self, usage: Usage, at: float | None, requested: str | None) -> Tariff | None:
        answered = usage.model
        if self._own:
            tariff = self._override(answered) or self._override(requested)
            if tariff is not None:
                return tariff
        if not self.load() or self._data is None:
            return None
        if at is None:
            at = clock.wall()
        tariff = self._data.tariff(answered, usage.provider, at)
        if tariff is not None or requested is None or requested == answered:
            return tariff
        return self._data.tariff(requested, usage.provider, at)

    def _override(self, model: str | None) -> Tariff | None:
        if model is None:
            return None
        return self._own.get(model) or self._own.get(own.undated(model))


def _cost(tariff: Tariff, usage: Usage) -> float | None:
    try:
        return tariff.cost(usage)
    except ValueError:  # the response's fault, not geomon's: it does not raise in tests
        losses.count("prices", "invalid")
        losses.say_once(
            "prices",
            "invalid",
            f"a response of {usage.model!r:.200} counts more cached, written or "
            "reasoning tokens than tokens: it has no cost",
        )
        return None


def _price_data() -> PriceData | None:
    try:
        return PriceData()
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == "genai_prices":
            return None  # not installed: the program wants no prices
        losses.failed("prices", "failed", error, "genai-prices, which lacks a module of its own")
    except Exception as error:
        losses.failed("prices", "failed", error, "genai-prices, which cannot be imported")
    return None
