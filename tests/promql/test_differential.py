"""PromQL against the real thing: what `promtool test rules` gives, geomon gives.

`GEOMON_PROMQL_SEED` sets the first seed, `GEOMON_PROMQL_WORLDS` how many there are from it on. What
differs is printed as the smallest part of the query that differs, with its data.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from geomon.series import SeriesStore
from tests.promql.answers import Answer, ours, same
from tests.promql.grammar import Grammar, Node
from tests.promql.notation import load
from tests.promql.promtool import Group, ask
from tests.promql.worlds import SCRAPES, STEP, world
from tests.servers import require

SEED = int(os.environ.get("GEOMON_PROMQL_SEED", "1"))
WORLDS = int(os.environ.get("GEOMON_PROMQL_WORLDS", "60"))
QUERIES = 100  # of each world
END = STEP * SCRAPES + 401  # promtool loads samples up to the last query's time
SHOWN = 3  # differences

Series = list[tuple[str, str]]
Queries = list[tuple[str, int]]
Difference = tuple[str, int, Answer, Answer]


@dataclass
class World:
    """The queries of one world, and where it came from."""

    seed: int
    series: Series
    store: SeriesStore
    queries: list[tuple[Node, int]]

    def group(self) -> Group:
        texts = [(node.text, at) for node, at in self.queries]
        return Group(self.series, STEP, [*texts, ("1", END)])


def made(seed: int) -> World:
    random = Random(seed)
    series = world(random)
    grammar = Grammar(random)
    times = range(1, END, 2)
    queries = [(grammar.expression(), random.choice(times)) for _ in range(QUERIES)]
    return World(seed, series, stored(series), queries)


def stored(series: Series) -> SeriesStore:
    return load("\n".join(" ".join(pair) for pair in series), STEP)


def differing(promtool: str, series: Series, asked: Queries) -> list[Difference]:
    """Give those of the queries whose answers differ, with both answers."""
    answers = ask(promtool, [Group(series, STEP, [*asked, ("1", END)])])[0]
    store = stored(series)
    given = [ours(text, store, at) for text, at in asked]
    rows = zip(asked, answers, given, strict=False)
    return [(*one, theirs, mine) for one, theirs, mine in rows if not same(theirs, mine)]


def smallest(promtool: str, world: World, node: Node, at: int) -> str:
    """Tell of the smallest part of a query that differs by itself, with as few series as do it."""
    parts = [(part.text, at // 8 * 8 if part.inner else at) for part in node.within()]
    text, at, *_ = min(differing(promtool, world.series, parts), key=lambda one: len(one[0]))
    series = world.series
    for pair in world.series:
        without = [one for one in series if one != pair]
        if without and differing(promtool, without, [(text, at)]):
            series = without
    (_, _, theirs, given), *_ = differing(promtool, series, [(text, at)])
    data = "\n".join(f"  {name} {values}" for name, values in series)
    return (
        f"seed {world.seed}, at {at}: {text}\n  promtool: {theirs}\n  geomon:   {given}\n{data}"
        f"\n  in: {node.text}"
    )


def test_a_random_query_gives_what_promtool_gives() -> None:
    promtool = require("promtool", package="prometheus")
    worlds = [made(seed) for seed in range(SEED, SEED + WORLDS)]
    told = [
        (one, node, at)
        for one, answers in zip(worlds, ask(promtool, [one.group() for one in worlds]), strict=True)
        for (node, at), theirs in zip(one.queries, answers, strict=False)
        if not same(theirs, ours(node.text, one.store, at))
    ]
    if told:
        shown = "\n\n".join(smallest(promtool, *each) for each in told[:SHOWN])
        pytest.fail(f"{len(told)} queries differ\n{shown}", pytrace=False)


WRITTEN = [
    line
    for line in Path(__file__).with_name("cases").joinpath("written.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
WRITTEN_OF = [('a{i="1"}', "1x110"), ('a{i="2"}', "2x110"), ('b{i="1"}', "5x110"), ("c", "7x110")]


def test_a_query_is_read_however_it_is_written() -> None:
    promtool = require("promtool", package="prometheus")
    told = differing(promtool, WRITTEN_OF, [(text, 801) for text in WRITTEN])
    shown = [f"{text}: promtool {theirs}, geomon {given}" for text, _, theirs, given in told]
    assert shown == []
