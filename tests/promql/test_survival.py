"""No query takes the process down: not by its size, its depth, nor by what it would cost.

What might is asked in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from geomon.promql import Limits, PromQLError, query, query_range
from geomon.series import SeriesStore

ROOT = Path(__file__).parents[2]
STORE = SeriesStore()
MEMORY = 2 * 1024**3  # bytes that the process of a query may have

# What the parser would crash on, or take minutes for

CRASHES = {
    "10,000 parentheses": "(" * 10_000 + "1" + ")" * 10_000,
    "10,000 open parentheses": "(" * 10_000,
    "10,000 signs": "-" * 10_000 + "1",
    "9,000 signs apart": "- " * 4_500 + "1",
    "a chain of + of 40 kB": "1" + "+1" * 20_000,
    "a chain of + of 9 kB": "1" + "+1" * 4_500,
    "a chain of ^": "1" + "^1" * 4_500,
    "a chain of or": "x" + " or x" * 1_900,
    "a chain of comparisons": "x" + ">x" * 4_500,
    "a chain of atan2": "x" + " atan2 x" * 1_200,
    "nested calls": "abs(" * 2_000 + "x" + ")" * 2_000,
    "nested aggregations": "sum(" * 2_000 + "x" + ")" * 2_000,
    "nested by": "sum by (i) (" * 800 + "x" + ")" * 800,
    "a chain of subqueries": "x" + "[5m:1m]" * 1_000,
    "nested subqueries": "max_over_time(" * 300 + "x[5m]" + "[5m:1m])" * 300,
    "braces": "{" * 9_000,
    "brackets": "x" + "[" * 9_000,
    "a million bytes": "1" + " + 1" * 250_000,
    "a million spaces": " " * 1_000_000 + "1",
    "a million of one letter": "a" * 1_000_000,
    "matchers": "x{" + ",".join(['i="1"'] * 1_500) + "}",
    "arguments": "abs(" + ",".join(["x"] * 4_000) + ")",
    "a comment": "#" * 9_000,
    "quotes": '"' * 9_001,
    "backslashes": '"' + "\\" * 9_001,
    "digits": "9" * 9_000,
    "a duration of digits": "x[" + "9" * 9_000 + "s]",
    "parentheses in a text": '"' + "(" * 9_000 + '" + 1',
    "parentheses after a text's escape": '"\\"" + ' + "(" * 9_000,
    "parentheses in a comment": "#" + "(" * 5_000 + "\n(" + "(" * 4_000,
    "a quote in a comment": '# "\n' + "(" * 9_000,
    "a quote of another kind": "'\"' + `\"` + " + "(" * 9_000,
    "zero bytes": "\0" * 9_000,
    "surrogates": "\ud800" * 3_000,
}


def outcome(text: str, seconds: float = 60) -> str:
    """Give what a process of its own makes of a query: `answered`, `refused`, or how it ended."""
    program = (
        "import json, resource, sys\n"
        "from geomon.promql import PromQLError, query\n"
        "from geomon.series import SeriesStore\n"
        "store = SeriesStore()\n"
        "for number in range(240):\n"
        "    for i in '12': store.append({'__name__': 'x', 'i': i}, number * 15.0, number)\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))\n"
        "try:\n"
        "    query(json.load(sys.stdin), store, 3590.0)\n"
        "except PromQLError:\n"
        "    print('refused')\n"
        "else:\n"
        "    print('answered')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(text),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=seconds,
    )
    return done.stdout.strip() or f"ended with {done.returncode}: {done.stderr[-1000:]}"


@pytest.mark.parametrize("name", CRASHES)
def test_what_crashes_the_parser_does_not_crash_the_process(name: str) -> None:
    assert outcome(CRASHES[name]) in ("refused", "answered")


@pytest.mark.parametrize("name", ["10,000 parentheses", "a chain of + of 40 kB", "a million bytes"])
def test_what_is_too_large_is_refused(name: str) -> None:
    assert outcome(CRASHES[name]) == "refused"


COSTLY = {
    "subqueries of subqueries": (
        "max_over_time(max_over_time(max_over_time(x[1h:1s])[1h:1s])[1h:1s])"
    ),
    "a step of 1 ms over years": "count_over_time(x[1000y:1ms])",
    "a step of 1 ms over a day": "sum_over_time(x[1d:1ms])",
    "windows that overlap": "max_over_time(sum_over_time(x[1h])[1d:1s])",
    "a constant over years": "sum_over_time(vector(1)[1000y:1s])",
    "labels that double": "label_join(" * 40 + "x" + ', "i", "", "i", "i")' * 40,
    "a template that repeats": 'label_replace(x, "i", "' + "$1" * 4_000 + '", "i", "(.*)")',
    "templates of templates": (
        "label_replace(" * 6 + "x" + (', "i", "' + "$0" * 99 + '", "i", "(.*)")') * 6
    ),
    "an expression that repeats": 'x{i=~"((a{100}){100}){100}"}',
    "an expression that backtracks": 'x{i=~"(x+x+)+y"}',
    "a large class": 'x{i=~"' + "[^x]" * 1_000 + '"}',
    "a long alternation": 'x{i=~"' + "|".join(map(str, range(2_000))) + '"}',
    "many in each group": "x" + " * on() group_left x" * 100,
}


@pytest.mark.parametrize("name", COSTLY)
def test_what_costs_much_ends_with_an_answer_or_is_refused(name: str) -> None:
    assert outcome(COSTLY[name]) in ("refused", "answered")


# Size, depth, operators


def refused(text: str) -> str:
    with pytest.raises(PromQLError) as caught:
        query(text, STORE, 0.0)
    return str(caught.value)


def test_its_size_depth_and_operators_are_bounded() -> None:
    assert query("1" + " " * 9_999, STORE, 0.0) == 1.0
    assert "10" in refused("1" + " " * 10_240)
    assert query("(" * 100 + "1" + ")" * 100, STORE, 0.0) == 1.0
    assert "100" in refused("(" * 101 + "1" + ")" * 101)
    assert query("1" + "+1" * 500, STORE, 0.0) == 501.0
    assert "500" in refused("1" + "+1" * 501)


def test_size_is_of_bytes() -> None:
    refused('"' + "☺" * 4_000 + '"')


# Samples and series


def test_samples_and_series_of_a_query_are_bounded() -> None:
    store = SeriesStore()
    for number in range(1_000):
        labels = {"__name__": "many", "i": str(number)}
        for at in range(4):
            store.append(labels, float(at), 1.0)
    assert query("sum(many)", store, 3.0)[0].value == 1000
    for text in ("sum(sum_over_time(many[1d:1s]))", "sum_over_time(many[30d:1s])"):
        with pytest.raises(PromQLError):
            query(text, store, 3.0)


@pytest.mark.parametrize("limits", [Limits(series=1), Limits(samples=1), Limits(reads=1)])
def test_the_limits_can_be_set(limits: Limits) -> None:
    store = SeriesStore()
    for name in "ab":
        for at in range(4):
            store.append({"__name__": "x", "i": name}, float(at), 1.0)
    assert len(query("rate(x[5s])", store, 3.0)) == 2
    with pytest.raises(PromQLError):
        query("rate(x[5s])", store, 3.0, limits=limits)


def test_the_steps_of_a_range_query_can_be_limited() -> None:
    (series,) = query_range("1", STORE, 0.0, 9.0, 1.0, limits=Limits(steps=10))
    assert len(series.points) == 10
    with pytest.raises(PromQLError):
        query_range("1", STORE, 0.0, 10.0, 1.0, limits=Limits(steps=10))
