"""Totals of records: groups, sums, and numbers that are none."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomon.logs.reader import read
from geomon.logs.totals import Total, totals

RECORDS: list[dict[str, Any]] = [
    {"user_id": "u-1", "cost": 0.25, "input_tokens": 10, "output_tokens": 5},
    {"user_id": "u-2", "cost": 0.5, "tokens": 7, "input_tokens": 100},
    {"user_id": "u-1", "cost": 0.5, "input_tokens": 1},
    {"message": "nobody's"},
]


def test_tokens_and_cost_by_user_the_greatest_first() -> None:
    assert totals(RECORDS, by=["user_id"], sums=["cost", "tokens"]) == [
        Total({"user_id": "u-1"}, 2, {"cost": 0.75, "tokens": 16}),
        Total({"user_id": "u-2"}, 1, {"cost": 0.5, "tokens": 7}),
        Total({"user_id": None}, 1, {"cost": None, "tokens": None}),
    ]


def test_without_a_group_there_is_one_total_even_of_nothing() -> None:
    assert totals(RECORDS) == [Total({}, 4, {"tokens": 23, "cost": 1.25})]
    assert totals([]) == [Total({}, 0, {"tokens": None, "cost": None})]
    assert totals([], by=["user_id"]) == []


def test_several_fields_paths_and_lists_make_groups() -> None:
    records = [
        {"model": "a", "exception": {"type": "KeyError"}, "n": 1},
        {"model": "a", "exception": {"type": "KeyError"}, "n": 2},
        {"model": ["a"], "n": 4},
    ]
    assert [total.row() for total in totals(records, ["model", "exception.type"], ["n"])] == [
        {"model": ["a"], "exception.type": None, "count": 1, "n": 4},
        {"model": "a", "exception.type": "KeyError", "count": 2, "n": 3},
    ]


@pytest.mark.parametrize(
    ("by", "sums", "row"),
    [
        (["count"], [], {"by_count": 7, "count": 1}),
        ([], ["count"], {"count": 1, "sum_count": 7}),
        (["cost"], ["cost"], {"by_cost": 2, "count": 1, "cost": 2}),
        (["count", "by_count"], [], {"by_by_count": 7, "by_count": 9, "count": 1}),
        (["count"], ["count", "cost"], {"by_count": 7, "count": 1, "sum_count": 7, "cost": 2}),
        (["sum_count"], ["count"], {"by_sum_count": 3, "count": 1, "sum_count": 7}),
    ],
)
def test_a_row_loses_nothing_where_names_meet(
    by: list[str], sums: list[str], row: dict[str, Any]
) -> None:
    record = {"count": 7, "cost": 2, "by_count": 9, "sum_count": 3}
    (total,) = totals([record], by, sums)
    assert total.row() == row


def test_a_number_and_its_text_are_one_user_and_null_is_none() -> None:
    records: list[dict[str, Any]] = [{"id": 7}, {"id": "7"}, {"id": None}, {}, {"id": 2**80}]
    groups = [total.group["id"] for total in totals(records, by=["id"], sums=[])]
    assert sorted(groups, key=str) == [2**80, 7, None]


def test_broken_lines_are_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    path.write_text('{"cost":1}\nbroken\n')
    assert totals(read(path), sums=["cost"]) == [Total({}, 1, {"cost": 1})]


def test_what_is_no_field_is_refused() -> None:
    with pytest.raises(ValueError, match="names with dots"):
        totals([], by=["a b"])


PARTS = st.lists(st.floats(-1e6, 1e6) | st.integers(-(10**6), 10**6), min_size=1)
OTHER = st.sampled_from([math.nan, math.inf, -math.inf, True, "1", None, [1], {"a": 1}])


@given(PARTS, st.lists(OTHER, max_size=3))
def test_a_sum_is_as_exact_as_fsum_whatever_else_stands_there(
    parts: list[float], other: list[Any]
) -> None:
    (total,) = totals([{"x": value} for value in (*other, *parts)], sums=["x"])
    expected = sum(parts) if all(type(part) is int for part in parts) else math.fsum(parts)
    assert total.sums["x"] == pytest.approx(expected, rel=1e-12, abs=1e-9)
    assert total.count == len(parts) + len(other)


@given(st.lists(st.sampled_from(["a", "b", 1, None, True])))
def test_every_record_is_in_one_group(values: list[Any]) -> None:
    found = totals([{"x": value} for value in values], by=["x"], sums=[])
    expected = Counter(map(str, values))
    assert {str(total.group["x"]): total.count for total in found} == expected
