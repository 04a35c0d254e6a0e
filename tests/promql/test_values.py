"""Values that Python's own functions raise on, dates of any number, labels of any text."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from geomon.promql import query
from geomon.series import SeriesStore

NAN, INF = math.nan, math.inf

FLOATS = [
    ("exp(vector(1e9))", INF),
    ("exp(vector(-1e9))", 0.0),
    ("cosh(vector(1e9))", INF),
    ("sinh(vector(-1e9))", -INF),
    ("vector(10) ^ 1e9", INF),
    ("vector(-10) ^ 1e9", INF),
    ("vector(-10) ^ 1000000001", -INF),
    ("vector(-8) ^ 0.5", NAN),
    ("vector(0) ^ -1", INF),
    ("vector(-0.0) ^ -1", -INF),
    ("vector(0) ^ -2", INF),
    ("vector(0) ^ -0.5", INF),
    ("vector(-Inf) ^ 3", -INF),
    ("vector(-Inf) ^ -3", -0.0),
    ("vector(-Inf) ^ 0.5", INF),
    ("vector(-1) ^ Inf", 1.0),
    ("vector(2) ^ -Inf", 0.0),
    ("vector(0.5) ^ -Inf", INF),
    ("vector(NaN) ^ 0", 1.0),
    ("1 ^ vector(NaN)", 1.0),
    ("vector(1) / 0", INF),
    ("vector(-1) / 0", -INF),
    ("vector(0) / 0", NAN),
    ("vector(1) / -0", -INF),
    ("vector(5) % 0", NAN),
    ("vector(Inf) % 5", NAN),
    ("vector(5) % Inf", 5.0),
    ("vector(NaN) % 5", NAN),
    ("vector(1e308) * 10", INF),
    ("vector(1e308) + 1e308", INF),
    ("ln(vector(0))", -INF),
    ("ln(vector(-1))", NAN),
    ("log2(vector(0))", -INF),
    ("log10(vector(-0.0))", -INF),
    ("log10(vector(-1))", NAN),
    ("sqrt(vector(-1))", NAN),
    ("acos(vector(2))", NAN),
    ("asin(vector(-2))", NAN),
    ("acosh(vector(0))", NAN),
    ("atanh(vector(1))", INF),
    ("atanh(vector(-1))", -INF),
    ("atanh(vector(2))", NAN),
    ("sin(vector(Inf))", NAN),
    ("tan(vector(-Inf))", NAN),
    ("floor(vector(Inf))", INF),
    ("ceil(vector(NaN))", NAN),
    ("round(vector(-Inf))", -INF),
    ("round(vector(1e308), 1e-308)", INF),
    ("round(vector(1), 0)", NAN),
    ("round(vector(1), NaN)", NAN),
    ("round(vector(1), Inf)", NAN),
    ("sgn(vector(NaN))", NAN),
    ("vector(0) atan2 0", 0.0),
    ("vector(0) atan2 -1", math.pi),
    ("vector(Inf) atan2 Inf", math.pi / 4),
    ("deg(vector(1e308))", INF),
    ("sum_over_time(vector(1e308)[5m:1m])", INF),
    ("avg_over_time(vector(1e308)[5m:1m])", 1e308),
    ("stddev_over_time(vector(Inf)[5m:1m])", NAN),
    ("quantile_over_time(1e308, vector(1)[5m:1m])", INF),
    ("quantile_over_time(0.5, vector(NaN)[5m:1m])", NAN),
    ("quantile(0.5, vector(Inf))", NAN),
    ("deriv(vector(NaN)[5m:1m])", NAN),
    ("predict_linear(vector(1)[5m:1m], Inf)", NAN),
    ("clamp(vector(1), -Inf, Inf)", 1.0),
    ("histogram_quantile(0.5, label_replace(vector(Inf), 'le', '+Inf', '', ''))", NAN),
]


@pytest.mark.parametrize(("text", "expected"), FLOATS)
def test_no_float_raises(text: str, expected: float) -> None:
    (sample,) = query(text, SeriesStore(), 600.0)
    assert str(expected) == str(sample.value) or math.isclose(expected, sample.value)


@pytest.mark.parametrize("value", ["NaN", "Inf", "-Inf", "1e300", "-1e300", "1e18", "-1e15", "0.5"])
def test_no_date_raises(value: str) -> None:
    for name in (
        *["minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month"],
        *["month", "year"],
    ):
        assert len(query(f"{name}(vector({value}))", SeriesStore(), 600.0)) == 1


# Labels of any text

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


@given(TEXT.filter(bool))
def test_a_label_of_any_unicode_is_found_by_its_text_and_by_an_expression(value: str) -> None:
    store = SeriesStore()
    store.append({"__name__": "m", "l": value}, 0.0, 1.0)
    expected: list[Any] = [({"__name__": "m", "l": value}, 1.0)]
    for matcher in (f"={quoted(value)}", f"=~{quoted(re2.escape(value))}", '=~".+"', '!="x\\ny!"'):
        assert expected == [tuple(one) for one in query(f"m{{l{matcher}}}", store, 0.0)]
    for matcher in (f"!={quoted(value)}", f"!~{quoted(re2.escape(value))}", '!~"(?s).*"', '=""'):
        assert query(f"m{{l{matcher}}}", store, 0.0) == []


@given(TEXT)
def test_a_string_of_any_unicode_is_its_own_value(text: str) -> None:
    assert text == query(quoted(text), SeriesStore(), 0.0)


@given(TEXT, TEXT)
def test_labels_of_any_unicode_are_joined_and_replaced(value: str, new: str) -> None:
    store = SeriesStore()
    store.append({"__name__": "m", "l": value}, 0.0, 1.0)
    joined = query(f'label_join(m, "j", {quoted(new)}, "l", "l")', store, 0.0)
    assert value + new + value == joined[0].labels.get("j", "")
    template = quoted(new.replace("$", "$$"))
    replaced = query(f'label_replace(m, "r", {template}, "l", "(?s).*")', store, 0.0)
    assert new == replaced[0].labels.get("r", "")
