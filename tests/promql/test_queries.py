"""Every function, aggregation and operator once, its value worked out beside it."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomon.promql import query, query_range
from geomon.series import STALE, SeriesStore
from tests.promql.notation import load
from tests.promql.scripts import same

NAN, INF = math.nan, math.inf
# scrapes each 15 s, asked at 150 s: c 0, 10, …, 100; g 5 1 4 1 5 9 2 6 5 3 5
AT = 150.0
STORE = load(
    """
    c 0+10x10
    reset 0 10 20 5 15 25 35 45 55 65 75
    g 5 1 4 1 5 9 2 6 5 3 5
    v{i="1"} -2.5x10
    v{i="2"} 0.25x10
    v{i="3"} 7x10
    w{i="1"} 2x10
    w{i="2"} 4x10
    one{i="1", kind="k"} 3x10
    date 1709208000x10
    b_bucket{le="1"} 10x10
    b_bucket{le="2"} 30x10
    b_bucket{le="+Inf"} 40x10
    text{t="a-b"} 1x10
    """,
    step=15,
)

# A window of 60 s holds the samples of 105, 120, 135 and 150 s: g 6 5 3 5 (the last four).
ONE = [  # one sample without labels, or a number
    # counters: 4 samples, 30 in 45 s, extrapolated to 60 s
    ("rate(c[60s])", 30 / 45 * 60 / 45 / 60 * 45),
    ("increase(c[60s])", 30 / 45 * 60),
    ("increase(reset[150s])", (5 + 70 + 10) / 135 * (135 + 15)),
    ("irate(c[60s])", 10 / 15),
    ("delta(g[60s])", (5 - 6) / 45 * 60),
    ("idelta(g[60s])", 5 - 3),
    ("resets(reset[150s])", 1),
    ("changes(g[60s])", 3),
    ("deriv(c[60s])", 10 / 15),
    ("predict_linear(c[60s], 30)", 100 + 20),
    # windows
    ("avg_over_time(g[60s])", 19 / 4),
    ("min_over_time(g[60s])", 3),
    ("max_over_time(g[60s])", 6),
    ("sum_over_time(g[60s])", 19),
    ("count_over_time(g[60s])", 4),
    ("quantile_over_time(0.5, g[60s])", 5),
    ("quantile_over_time(0.25, g[60s])", 3 + (5 - 3) * 0.75),
    ("stdvar_over_time(g[60s])", (6**2 + 5**2 + 3**2 + 5**2) / 4 - (19 / 4) ** 2),
    ("stddev_over_time(g[60s])", math.sqrt(95 / 4 - (19 / 4) ** 2)),
    ("present_over_time(g[60s])", 1),
    ("absent_over_time(none[60s])", 1),
    ("absent(none)", 1),
    # values
    ("abs(v{i='1'})", 2.5),
    ("ceil(v{i='1'})", -2),
    ("floor(v{i='1'})", -3),
    ("round(v{i='1'})", -2),
    ("round(v{i='3'}, 5)", 5),
    ("sgn(v{i='1'})", -1),
    ("clamp(v{i='3'}, 0, 5)", 5),
    ("clamp_min(v{i='1'}, 0)", 0),
    ("clamp_max(v{i='3'}, 5)", 5),
    ("exp(v{i='2'})", math.exp(0.25)),
    ("ln(v{i='2'})", math.log(0.25)),
    ("log2(v{i='2'})", -2),
    ("log10(v{i='2'})", math.log10(0.25)),
    ("sqrt(v{i='2'})", 0.5),
    ("sin(v{i='2'})", math.sin(0.25)),
    ("cos(v{i='2'})", math.cos(0.25)),
    ("tan(v{i='2'})", math.tan(0.25)),
    ("asin(v{i='2'})", math.asin(0.25)),
    ("acos(v{i='2'})", math.acos(0.25)),
    ("atan(v{i='2'})", math.atan(0.25)),
    ("sinh(v{i='2'})", math.sinh(0.25)),
    ("cosh(v{i='2'})", math.cosh(0.25)),
    ("tanh(v{i='2'})", math.tanh(0.25)),
    ("asinh(v{i='2'})", math.asinh(0.25)),
    ("acosh(v{i='3'})", math.acosh(7)),
    ("atanh(v{i='2'})", math.atanh(0.25)),
    ("deg(v{i='2'})", math.degrees(0.25)),
    ("rad(v{i='2'})", math.radians(0.25)),
    ("pi()", math.pi),
    ("time()", 150),
    ("timestamp(g)", 150),
    ("scalar(g)", 5),
    ("vector(4)", 4),
    # 29 February 2024, 12:00, a Thursday
    ("minute(date)", 0),
    ("hour(date)", 12),
    ("day_of_week(date)", 4),
    ("day_of_month(date)", 29),
    ("day_of_year(date)", 60),
    ("days_in_month(date)", 29),
    ("month(date)", 2),
    ("year(date)", 2024),
    # 20 of 40 are reached in the second bucket, which has 20, after 10
    ("histogram_quantile(0.5, b_bucket)", 1 + (20 - 10) / 20),
    ("histogram_fraction(0, 1.5, b_bucket)", (10 + 20 * 0.5) / 40),
    # aggregations of -2.5, 0.25 and 7
    ("sum(v)", 4.75),
    ("avg(v)", 4.75 / 3),
    ("min(v)", -2.5),
    ("max(v)", 7),
    ("count(v)", 3),
    ("group(v)", 1),
    ("stdvar(v)", (6.25 + 0.0625 + 49) / 3 - (4.75 / 3) ** 2),
    ("stddev(v)", math.sqrt((6.25 + 0.0625 + 49) / 3 - (4.75 / 3) ** 2)),
    ("quantile(0.75, v)", 0.25 + (7 - 0.25) * 0.5),
    ("sum(topk(2, v))", 7.25),
    ("sum(bottomk(2, v))", -2.25),
    ("sum(count_values('value', v))", 3),
    # operators
    ("g + 1", 6),
    ("g - 1", 4),
    ("g * 3", 15),
    ("g / 2", 2.5),
    ("g % 3", 2),
    ("g ^ 2", 25),
    ("g atan2 1", math.atan2(5, 1)),
    ("-g", -5),
    ("g == bool 5", 1),
    ("g != bool 5", 0),
    ("g > bool 4", 1),
    ("g < bool 4", 0),
    ("g >= bool 5", 1),
    ("g <= bool 4", 0),
    ("sum(v and w)", -2.25),
    ("sum(v or w)", 4.75),
    ("sum(v unless w)", 7),
    ("sum(v * w)", -2.5 * 2 + 0.25 * 4),
    ("sum(v * on(i) w)", -2.5 * 2 + 0.25 * 4),
    ("sum(w * ignoring(kind) one)", 6),
    ("sum(w * on() group_left one)", 18),
    ("sum(one * on() group_right w)", 18),
    ("sum(g offset 15s)", 3),
    ("sum(g offset 1m)", 2),
    ("sum(g @ 75)", 9),
    ("sum(g @ end() offset 30s)", 5),
    ("sum_over_time(g[60s] offset -15s)", 5 + 3 + 5),
    ("max_over_time(g[60s] @ 75)", 9),
    ("sum_over_time(g[60s:30s])", 5 + 5),
    ("max_over_time(rate(c[30s])[60s:30s])", 10 / 15),
]


@pytest.mark.parametrize(("text", "expected"), ONE)
def test_it_has_the_value_worked_out_beside_it(text: str, expected: float) -> None:
    given = query(text, STORE, AT)
    if isinstance(given, list):
        (sample,) = given
        given = sample.value
    assert same(expected, given), (expected, given)


MANY = [
    ("v", {'v{i="1"}': -2.5, 'v{i="2"}': 0.25, 'v{i="3"}': 7}),
    ("v > 0", {'v{i="2"}': 0.25, 'v{i="3"}': 7}),
    ("v{i=~'1|2'}", {'v{i="1"}': -2.5, 'v{i="2"}': 0.25}),
    ("v{i!~'1|2'}", {'v{i="3"}': 7}),
    ("v{i!='3'}", {'v{i="1"}': -2.5, 'v{i="2"}': 0.25}),
    ("last_over_time(v[60s])", {'v{i="1"}': -2.5, 'v{i="2"}': 0.25, 'v{i="3"}': 7}),
    ("topk(1, v)", {'v{i="3"}': 7}),
    ("bottomk(1, v)", {'v{i="1"}': -2.5}),
    ("v and w", {'v{i="1"}': -2.5, 'v{i="2"}': 0.25}),
    ("v or w", {'v{i="1"}': -2.5, 'v{i="2"}': 0.25, 'v{i="3"}': 7}),
    ("v unless w", {'v{i="3"}': 7}),
    ("count_values('value', v)", {'{value="-2.5"}': 1, '{value="0.25"}': 1, '{value="7"}': 1}),
    ("sum by (i) (v)", {'{i="1"}': -2.5, '{i="2"}': 0.25, '{i="3"}': 7}),
    ("w * on() group_left(kind) one", {'{i="1", kind="k"}': 6, '{i="2", kind="k"}': 12}),
    ("label_replace(text, 'u', '$2', 't', '(.)-(.)')", {'text{t="a-b", u="b"}': 1}),
    ("label_join(text, 'u', '/', 't', 't')", {'text{t="a-b", u="a-b/a-b"}': 1}),
    ("none", {}),
]


def shown(labels: dict[str, str]) -> str:
    rest = {key: value for key, value in sorted(labels.items()) if key != "__name__"}
    inside = ", ".join(f'{key}="{value}"' for key, value in rest.items())
    return labels.get("__name__", "") + (f"{{{inside}}}" if inside else "")


@pytest.mark.parametrize(("text", "expected"), MANY)
def test_it_has_the_series_listed_beside_it(text: str, expected: dict[str, float]) -> None:
    given = {shown(dict(one.labels)): one.value for one in query(text, STORE, AT)}
    assert expected == given


STABLE = """
abs absent absent_over_time acos acosh asin asinh atan atanh avg_over_time ceil changes clamp
clamp_max clamp_min cos cosh count_over_time day_of_month day_of_week day_of_year days_in_month deg
delta deriv exp floor histogram_fraction histogram_quantile hour idelta increase irate label_join
label_replace last_over_time ln log10 log2 max_over_time min_over_time minute month pi
predict_linear present_over_time quantile_over_time rad rate resets round scalar sgn sin sinh sort
sort_desc sqrt stddev_over_time stdvar_over_time sum_over_time tan tanh time timestamp vector year
sum avg min max count group stddev stdvar topk bottomk quantile count_values
"""


@pytest.mark.parametrize("name", STABLE.split())
def test_no_function_goes_without_a_case(name: str) -> None:
    scripts = "\n".join(p.read_text() for p in Path(__file__).with_name("cases").glob("*.test"))
    call = re.compile(rf"^eval.*\b{name}( (by|without) \([^)]*\) )?\(.*\n  [^e\n]", re.M)
    assert call.search(scripts)


FLOATS = st.lists(st.floats(-1e100, 1e100), min_size=1, max_size=30)


@given(FLOATS)
def test_sums_and_averages_are_compensated(values: list[float]) -> None:
    store = SeriesStore()
    for number, value in enumerate(values):
        store.append({"__name__": "over"}, float(number), value)
        store.append({"__name__": "across", "i": f"{number:02}"}, 0.0, value)
    exact = math.fsum(values)
    lost = (
        abs(exact) * 1e-15 + math.fsum(map(abs, values)) * 1e-28 + 1e-300
    )  # a plain sum loses 1e-16
    for text, at, count in [
        ("sum(across)", 0.0, 1),
        ("avg(across)", 0.0, len(values)),
        ("sum_over_time(over[1h])", 60.0, 1),
        ("avg_over_time(over[1h])", 60.0, len(values)),
    ]:
        (sample,) = query(text, store, at)
        assert abs(sample.value - exact / count) <= lost, (text, exact / count, sample.value)


# What comes back


def test_a_vector_is_samples_with_labels_and_a_value() -> None:
    (sample,) = query("g", STORE, AT)
    assert (sample.labels, sample.value) == ({"__name__": "g"}, 5.0)


def test_a_scalar_is_a_float_and_a_string_a_str() -> None:
    assert (query("1 + 2", STORE, AT), query('"a"', STORE, AT)) == (3.0, "a")


def test_a_range_vector_is_series_with_labels_and_points() -> None:
    (series,) = query("g[45s]", STORE, AT)
    points = [(120.0, 5.0), (135.0, 3.0), (150.0, 5.0)]
    assert ({"__name__": "g"}, points) == (series.labels, [tuple(one) for one in series.points])


def test_a_range_query_gives_series_with_labels_and_points() -> None:
    (series,) = query_range("g", STORE, 0.0, 40.0, 20.0)
    points = [(0.0, 5.0), (20.0, 1.0), (40.0, 4.0)]
    assert ({"__name__": "g"}, points) == (series.labels, [tuple(one) for one in series.points])


def test_a_scalar_over_a_range_is_one_series_without_labels() -> None:
    (series,) = query_range("time()", STORE, 0.0, 2.0, 1.0)
    points = [(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)]
    assert ({}, points) == (series.labels, [tuple(one) for one in series.points])


def test_sorted_vectors_come_in_their_order() -> None:
    values = [[s.value for s in query(text, STORE, AT)] for text in ("sort(v)", "sort_desc(v)")]
    assert values == [[-2.5, 0.25, 7.0], [7.0, 0.25, -2.5]]


def test_the_largest_come_first_and_the_smallest_first() -> None:
    values = [[s.value for s in query(text, STORE, AT)] for text in ("topk(3, v)", "bottomk(3, v)")]
    assert values == [[7.0, 0.25, -2.5], [-2.5, 0.25, 7.0]]


def test_what_is_done_to_an_answer_is_not_done_to_the_store() -> None:
    for text in ("g", "last_over_time(g[1m])", "g > 0"):
        (sample,) = query(text, STORE, AT)
        sample.labels["g"] = "changed"
    (series,) = query("g[45s]", STORE, AT)
    series.labels["g"] = "changed"
    series.points.clear()
    (again,) = query("g", STORE, AT)
    assert again.labels == {"__name__": "g"}


def test_the_lookback_can_be_set() -> None:
    store = SeriesStore()
    store.append({"__name__": "x"}, 0.0, 1.0)
    found = [len(query("x", store, at, lookback=60.0)) for at in (0.0, 59.0, 60.0, 61.0)]
    assert found == [1, 1, 0, 0]


def test_a_stale_marker_ends_a_series_and_nan_does_not() -> None:
    store = SeriesStore()
    for name, value in (("ends", STALE), ("stays", NAN)):
        store.append({"__name__": name}, 0.0, 1.0)
        store.append({"__name__": name}, 15.0, value)
    ended: list[Any] = query("ends", store, 20.0)
    (stayed,) = query("stays", store, 20.0)
    assert (ended, math.isnan(stayed.value)) == ([], True)


def test_times_have_milliseconds() -> None:
    store = SeriesStore()
    store.append({"__name__": "x"}, 1700000000.123, 1.0)
    (sample,) = query("timestamp(x)", store, 1700000000.123)
    found = [query("x", store, 1700000000.122), sample.value]
    assert found == [[], 1700000000.123]
