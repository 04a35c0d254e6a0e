"""A range query is the instant queries of its steps, whatever the expression."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from geomon.promql import PromQLError, query, query_range
from geomon.series import SeriesStore
from tests.promql.answers import same
from tests.promql.grammar import Grammar
from tests.promql.notation import load
from tests.promql.worlds import STEP, world

QUERIES = 60
STEPS = 7


def by_steps(text: str, store: SeriesStore, times: list[float]) -> list[Any] | str:
    """Give the samples of each step's instant query, or the first error."""
    try:
        return [instant(text, store, at) for at in times]
    except PromQLError as error:
        return str(error)


def instant(text: str, store: SeriesStore, at: float) -> list[tuple[dict[str, str], float]]:
    given = query(text, store, at)
    if isinstance(given, float):
        return [({}, given)]
    return [(dict(sample.labels), sample.value) for sample in given]


def by_range(text: str, store: SeriesStore, times: list[float]) -> list[Any] | str:
    """Give the same by one range query."""
    try:
        series = query_range(text, store, times[0], times[-1], times[1] - times[0])
    except PromQLError as error:
        return str(error)
    points = [(dict(one.labels), dict(one.points)) for one in series]
    return [[(labels, found[at]) for labels, found in points if at in found] for at in times]


@pytest.mark.parametrize("seed", range(8))
def test_a_range_query_is_the_instant_queries_of_its_steps(seed: int) -> None:
    random = Random(seed)
    store = load("\n".join(" ".join(pair) for pair in world(random)), STEP)
    grammar = Grammar(random)
    for _ in range(QUERIES):
        text = grammar.expression().text
        if "start()" in text or "end()" in text:
            continue
        start, step = random.randint(-400, 1600), random.choice([1, 8, 16, 45, 300])
        times = [float(start + step * number) for number in range(STEPS)]
        one, other = by_steps(text, store, times), by_range(text, store, times)
        assert isinstance(one, str) == isinstance(other, str), (text, times, one, other)
        if isinstance(one, str):
            continue
        for at, expected, given in zip(times, one, other, strict=True):
            assert same(expected, given), (text, times, at, expected, given)
