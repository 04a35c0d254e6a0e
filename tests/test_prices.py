"""Prices against the library they come from: whatever it says, a price book says."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import product
from typing import Any

import genai_prices
import pytest
from genai_prices import data_snapshot
from genai_prices.data import providers
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)
from hypothesis import given
from hypothesis import strategies as st

from geomon import losses
from geomon.call import Usage
from geomon.testing import contained_failures, raised_failures
from geomon.usage import PriceBook

BOOK = PriceBook()
MOMENTS = [
    datetime(2023, 6, 1, 12, tzinfo=UTC),
    datetime(2025, 1, 15, 3, 30, tzinfo=UTC),
    datetime(2025, 8, 20, 17, 0, tzinfo=UTC),
    datetime(2026, 11, 1, 0, 0, tzinfo=UTC),
]
USAGES = [
    Usage("", None, 0, 0),
    Usage("", None, 1000, 200),
    Usage("", None, 1000, None),
    Usage("", None, None, 200),
    Usage("", None, 1000, 200, cached_input=400),
    Usage("", None, 1000, 200, cache_write=300),
    Usage("", None, 1000, 200, 400, 300, 50),
    Usage("", None, 1000, 200, 1000, 0, 200),
    *(
        Usage("", None, size, 5000, size // 2, size // 4, 1000)
        for size in (32_000, 100_001, 128_000, 200_000, 200_001, 256_001, 272_001, 1_000_001)
    ),
]


def lost(reason: str = "failed") -> int:
    return losses.counts().get(("prices", reason), 0)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[[], Any]:
    """What geomon said of its losses in this test."""
    monkeypatch.setattr(losses, "_said", set())
    return lambda: [record.getMessage().partition(": ")[2] for record in caplog.records]


def is_sold_by_token(model: ModelInfo) -> bool:
    """Or by request, or free; not by the hour, page or character alone."""
    conditional = model.prices if isinstance(model.prices, list) else None
    all_prices = [one.prices for one in conditional] if conditional else [model.prices]
    named = [{key for key, value in vars(one).items() if value is not None} for one in all_prices]
    return all(
        not keys or keys & {"input_mtok", "output_mtok", "requests_kcount"} for keys in named
    )


def reference(usage: Usage, at: datetime) -> float:
    tokens = genai_prices.Usage(
        input_tokens=usage.input,
        output_tokens=usage.output,
        cache_read_tokens=usage.cached_input,
        cache_write_tokens=usage.cache_write,
        output_reasoning_tokens=usage.reasoning,
    )
    price = genai_prices.calc_price(
        tokens, usage.model, provider_id=usage.provider, genai_request_timestamp=at
    )
    return float(price.total_price)


def names(provider: Provider) -> list[str]:
    """The ids of its models that the library finds by their id."""
    ids = [model.id for model in provider.models if is_sold_by_token(model)]
    return [one for one in ids if found(one, provider.id)]


def found(model: str, provider: str | None) -> bool:
    try:
        _, info = data_snapshot.get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return False
    return is_sold_by_token(info)


@pytest.mark.parametrize("provider", providers, ids=lambda provider: provider.id)
def test_every_model_sold_by_token_costs_what_the_library_says(provider: Provider) -> None:
    cases = product(names(provider), USAGES, MOMENTS)
    for model, tokens, at in cases:
        usage = tokens._replace(model=model, provider=provider.id)
        expected = reference(usage, at)
        assert BOOK.cost(usage, at.timestamp()) == pytest.approx(expected, rel=1e-9, abs=1e-15), (
            usage,
            at,
        )


@pytest.mark.parametrize(
    "model", ["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-pro", "deepseek-chat", "grok-3"]
)
def test_without_a_provider_the_library_finds_one_by_the_model(model: str) -> None:
    usage = Usage(model, None, 250_000, 200, 100)
    assert BOOK.cost(usage, MOMENTS[2].timestamp()) == pytest.approx(
        reference(usage, MOMENTS[2]), rel=1e-9
    )


COUNTS = st.none() | st.integers(0, 2_000_000)


@given(
    st.sampled_from([(one.id, name) for one in providers for name in names(one)]),
    st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS),
    st.datetimes(datetime(2022, 1, 1), datetime(2028, 1, 1)),
)
def test_any_usage_costs_what_the_library_says_or_where_it_refuses_something_of_ours(
    sold: tuple[str, str], counts: tuple[int | None, ...], at: datetime
) -> None:
    usage = Usage(sold[1], sold[0], *counts)
    moment = at.replace(tzinfo=UTC)
    cost = BOOK.cost(usage, moment.timestamp())
    try:
        expected = reference(usage, moment)
    except ValueError:
        return
    if counts == (None,) * 5:
        assert cost is None
    else:
        assert cost == pytest.approx(expected, rel=1e-9, abs=1e-15)


# Where the library raises


def test_more_cached_than_input_tokens_have_no_cost_and_are_a_loss() -> None:
    usage = Usage("gpt-4o", "openai", 10, 10, cached_input=11)
    with pytest.raises(ValueError, match="cannot exceed"):
        reference(usage, MOMENTS[2])
    before = lost("invalid")
    assert (BOOK.cost(usage), lost("invalid")) == (None, before + 1)


def test_counts_that_contradict_each_other_are_said_once_a_model(said: Callable[[], Any]) -> None:
    for model in ("gpt-4o", "gpt-4o-mini", "gpt-4o"):
        BOOK.cost(Usage(model, "openai", 10, 10, cached_input=11))
    assert said() == [
        f"a response of '{model}' counts more cached, written or reasoning tokens than tokens: "
        "it has no cost"
        for model in ("gpt-4o", "gpt-4o-mini")
    ]


def test_where_only_cached_tokens_are_known_these_are_the_input() -> None:
    usage = Usage("gpt-4o", "openai", None, 10, cached_input=1_000_000)
    with pytest.raises(ValueError, match="Missing usage"):
        reference(usage, MOMENTS[2])
    assert BOOK.cost(usage) == BOOK.cost(usage._replace(input=1_000_000))


def test_an_unknown_model_has_no_cost_and_is_no_loss() -> None:
    before = lost()
    assert (BOOK.cost(Usage("no-such-model", "openai", 10, 10)), lost()) == (None, before)


def test_an_unknown_provider_has_no_cost() -> None:
    assert BOOK.cost(Usage("gpt-4o", "no-such-provider", 10, 10)) is None


def test_a_model_is_never_priced_at_another_provider() -> None:
    assert BOOK.cost(Usage("gpt-4o", "anthropic", 10, 10)) is None


def test_a_model_sold_by_the_hour_has_no_cost_in_tokens() -> None:
    assert BOOK.cost(Usage("whisper-large-v3", "groq", 10, 10)) is None


def test_a_usage_without_counts_has_no_cost() -> None:
    assert BOOK.cost(Usage("gpt-4o", "openai")) is None


def test_an_impossible_moment_is_a_loss() -> None:
    before = lost()
    with contained_failures():
        assert BOOK.cost(Usage("deepseek-chat", "deepseek", 10, 10), at=float("inf")) is None
    assert lost() == before + 1


def test_a_fault_of_the_price_data_raises_where_failures_raise() -> None:
    with raised_failures(), pytest.raises(OverflowError):
        BOOK.cost(Usage("deepseek-chat", "deepseek", 10, 10), at=float("inf"))


def test_faults_of_the_price_data_are_said_once_a_model(said: Callable[[], Any]) -> None:
    book = book_of(ModelPrice(input_mtok="free"))  # type: ignore[arg-type]
    before = lost()
    with contained_failures():
        costs = [book.cost(MILLION) for _ in range(3)]
    assert (costs, lost()) == ([None] * 3, before + 3)
    assert said() == ["the price of 'm': ValueError"]


# Prices that change


def book_of(prices: ModelPrice | list[ConditionalPrice]) -> PriceBook:
    model = ModelInfo(id="m", match=ClauseEquals(equals="m"), prices=prices)
    shop = Provider(id="shop", name="Shop", api_pattern="x", models=[model])
    data_snapshot.set_custom_snapshot(
        data_snapshot.DataSnapshot(providers=[shop], from_auto_update=False)
    )
    return PriceBook()


@pytest.fixture(autouse=True)
def _bundled_prices() -> Iterator[None]:
    yield
    data_snapshot.set_custom_snapshot(None)


def dollars(amount: Any) -> ModelPrice:
    return ModelPrice(input_mtok=Decimal(amount))


MILLION = Usage("m", "shop", 1_000_000)


def test_a_price_changes_at_its_start_date() -> None:
    new = ConditionalPrice(StartDateConstraint(date(2026, 1, 1)), prices=dollars(2))
    book = book_of([ConditionalPrice(prices=dollars(1)), new])
    change = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert [book.cost(MILLION, change + at) for at in (-1, 0, -1)] == [1.0, 2.0, 1.0]


def test_a_price_changes_with_the_time_of_day() -> None:
    night = ConditionalPrice(TimeOfDateConstraint(time(22), time(2)), prices=dollars(1))
    book = book_of([ConditionalPrice(prices=dollars(4)), night])
    hours = [datetime(2026, 1, 1, hour, tzinfo=UTC).timestamp() for hour in (21, 22, 1, 2)]
    assert [book.cost(MILLION, at) for at in hours] == [4.0, 1.0, 1.0, 4.0]


def test_new_data_of_the_library_replace_remembered_prices() -> None:
    book = book_of(dollars(1))
    first = book.cost(MILLION)
    book_of(dollars(3))
    assert (first, book.cost(MILLION)) == (1.0, 3.0)


def test_a_model_that_new_data_know_has_a_price_then() -> None:
    first = BOOK.cost(MILLION)
    book_of(dollars(3))
    assert (first, BOOK.cost(MILLION)) == (None, 3.0)


def test_a_tier_holds_for_all_tokens_once_the_input_is_larger() -> None:
    tiered = TieredPrices(base=Decimal(1), tiers=[Tier(start=200_000, price=Decimal(2))])
    book = book_of(ModelPrice(input_mtok=tiered, output_mtok=tiered))
    sizes = (200_000, 200_001)
    costs = [book.cost(Usage("m", "shop", size, 1_000_000)) for size in sizes]
    assert costs == pytest.approx([1.2, 2.400002])


def test_a_fee_a_request_is_added() -> None:
    book = book_of(ModelPrice(input_mtok=Decimal(1), requests_kcount=Decimal(5)))
    assert book.cost(MILLION) == pytest.approx(1.005)


# The program's own prices


def test_an_override_is_dollars_per_million_tokens() -> None:
    book = PriceBook(
        {"gpt-4o": {"input": 2, "output": 10, "cached_input": 1, "cache_write": 3}},
    )
    usage = Usage("gpt-4o", "openai", 1_000_000, 100_000, 400_000, 200_000)
    assert book.cost(usage) == pytest.approx(0.4 * 2 + 0.4 * 1 + 0.2 * 3 + 0.1 * 10)


def test_a_cache_without_a_price_costs_what_input_costs() -> None:
    book = PriceBook({"mine": {"input": 2}})
    assert book.cost(Usage("mine", "x", 1_000_000, 5, 400_000, 200_000)) == pytest.approx(2.0)


def test_a_dated_snapshot_costs_what_its_model_costs() -> None:
    book = PriceBook({"gpt-4o": {"input": 7}, "claude-opus-4": {"input": 8}})
    dated = ["gpt-4o-2024-08-06", "claude-opus-4-20250514", "claude-opus-4@20250514"]
    assert [book.cost(Usage(one, None, 1_000_000)) for one in dated] == [7.0, 8.0, 8.0]


def test_an_override_of_a_snapshot_comes_before_its_models() -> None:
    book = PriceBook({"gpt-4o": {"input": 7}, "gpt-4o-2024-05-13": {"input": 9}})
    assert book.cost(Usage("gpt-4o-2024-05-13", None, 1_000_000)) == 9.0


def test_models_without_an_override_cost_what_the_library_says() -> None:
    book = PriceBook({"mine": {"input": 2}})
    usage = Usage("gpt-4o", "openai", 10, 10)
    assert book.cost(usage) == BOOK.cost(usage)


@pytest.mark.parametrize(
    ("prices", "error", "says"),
    [
        ([], TypeError, r"prices must be a dict such as .* not list"),
        ({1: {"input": 1}}, TypeError, r"the model 1 must be a str"),
        ({"m": 2.5}, TypeError, r"prices\['m'\] must be a dict .*\"input\": 2.5.* not float"),
        ({"m": {}}, ValueError, r"prices\['m'\] is empty; write"),
        ({"m": {"inputs": 1}}, ValueError, r"no key 'inputs'; write one of input, output, cach"),
        ({"m": {"input": "2"}}, TypeError, r"prices\['m'\]\['input'\] must be a number.* not str"),
        ({"m": {"input": True}}, TypeError, r"must be a number.* not bool"),
        ({"m": {"input": -1}}, ValueError, r"is -1; write 0 or more"),
        ({"m": {"output": float("nan")}}, ValueError, r"is nan; write 0 or more"),
        ({"m": {"output": float("inf")}}, ValueError, r"is inf; write 0 or more"),
        ({"m": {"cached_input": 1}}, ValueError, r"write the price of 'input' too"),
    ],
)
def test_a_wrong_override_is_an_error_that_says_what_to_write(
    prices: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        PriceBook(prices)


# Without the library


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


SET_UP = (
    "import sys; from geomon.usage import PriceBook; from geomon.call import Usage;"
    "from geomon import losses;"
)


def test_without_the_library_only_overrides_have_prices() -> None:
    code = (
        f"{SET_UP} sys.modules['genai_prices'] = None;"
        "book = PriceBook({'mine': {'input': 1}});"
        "print(book.cost(Usage('gpt-4o', None, 5)), book.cost(Usage('mine', None, 10**6)),"
        "book.load(), losses.counts())"
    )
    assert run(code) == "None 1.0 False {}"


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (
            "sys.modules['genai_prices'] = object()",
            "genai-prices, which cannot be imported: Import",
        ),
        ("sys.modules['pydantic'] = None", "genai-prices, which lacks a module of its own: Module"),
    ],
)
def test_a_library_that_cannot_be_imported_is_one_loss_that_is_said(broken: str, says: str) -> None:
    code = (
        f"{SET_UP} {broken}; book = PriceBook();"
        "print(book.cost(Usage('a', None, 5)), book.cost(Usage('a', None, 5)), losses.counts())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "None None {('prices', 'failed'): 1}\n"
    assert says in done.stderr


def test_the_library_is_imported_when_first_needed() -> None:
    code = (
        f"{SET_UP} book = PriceBook(); before = 'genai_prices' in sys.modules; book.load();"
        "print(before, 'genai_prices' in sys.modules)"
    )
    assert run(code) == "False True"
