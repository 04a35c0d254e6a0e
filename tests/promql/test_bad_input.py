"""Wrong queries: each is refused with a `PromQLError` that names the reason."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomon.promql import PromQLError, query, query_range
from geomon.series import SeriesStore
from tests.promql.notation import load

NAN, INF = math.nan, math.inf


@pytest.fixture(scope="module")
def store() -> SeriesStore:
    return load('x{i="1"} 0+1x60\nx{i="2"} 0+2x60\nlong{i="' + "y" * 500 + '"} 1x60', step=15)


def refused(text: str, store: SeriesStore, at: float = 600.0) -> str:
    with pytest.raises(PromQLError) as caught:
        query(text, store, at)
    return str(caught.value)


# Texts that mean nothing

UNPARSABLE = [
    "",
    " ",
    "\n",
    "#",
    "# only a comment",
    "(",
    ")",
    "()",
    "1 +",
    "+ ",
    "* 1",
    "1 1",
    "x x",
    "x y",
    "x {",
    "x}",
    "x[",
    "x[]",
    "x[5m",
    "x[5]m",
    "x[5 m]",
    "x[m]",
    "x[5x]",
    "x['5m']",
    "x[-5m]",
    "x[5m:-1m]",
    "x offset",
    "x offset x",
    "x offset 5mm",
    "x offset '5m'",
    "offset 5m",
    "x @",
    "x @ x",
    "x @ '5'",
    "x @ start",
    "x @ end",
    "x @ start(1)",
    "x @ end(",
    "sum(",
    "sum()",
    "sum(x",
    "sum by (x)",
    "sum by i (x)",
    "sum by (1) (x)",
    "sum by (i j) (x)",
    "sum by (i) without (i) (x)",
    "sum(x) by (i) by (i)",
    "rate(x[5m]",
    "rate(x[5m],)",
    "rate(,x[5m])",
    "x == = x",
    "x =~ x",
    "x = x",
    "x ! x",
    "x & x",
    "x && x",
    "x || x",
    "not x",
    "x in x",
    "x ? 1 : 2",
    "x bool y",
    "bool x",
    "x on(i) y",
    "x + on i y",
    "x + on(i) ignoring(i) y",
    "x + group_left y",
    "x + on(i) group_left group_right y",
    "x + on(i) group_left(i y",
    "x{i}",
    "x{i=}",
    "x{i==1}",
    "x{i='1'",
    "x{i='1',,}",
    "x{i=1}",
    "x{i>'1'}",
    "x{='1'}",
    "x{i='1' j='2'}",
    "x{i='1'}{j='2'}",
    "{i='1'}x",
    "x.y",
    "x$",
    "$x",
    "1x",
    "é",
    "☺",
    "x\0",
    "\0",
    "\ud800",
    '"\ud800"',
    "\ufeffx",
    "x\u2028+\u2028x",
    "x\u00a0+ x",
    "'x",
    '"x',
    "`x",
    '"x\ny"',
    r'"\x"',
    r'"\xg0"',
    r'"\u12"',
    r'"\ud800"',
    r'"\U00110000"',
    r'"\8"',
    "0x",
    "1e",
    "1e+",
    "1.2.3",
    "..1",
    "1..",
    "1__0",
    "_1_ + ",
    "5m5m",
    "1s1m",
    "1.5m",
    "999999999999999999999y",
    "x[999999999999999999999y]",
    "x offset 999999999999999999999y",
    "x[5m] y",
    "let x = 1",
    "SELECT 1",
    "<script>",
    "{{ x }}",
    "x;",
    "x,y",
]


@pytest.mark.parametrize("text", UNPARSABLE)
def test_a_text_that_is_no_promql_is_refused(text: str, store: SeriesStore) -> None:
    assert refused(text, store)


# Texts that are not of the stable language over floats

REFUSED = [
    ("no_such(x)", "no_such"),
    ("rat(x[5m])", "rat"),
    ("holt_winters(x[5m], 0.1, 0.1)", "holt_winters"),
    ("x{i=~'('}", "("),
    ("x{i!~'['}", "["),
    ("x{i=~'*'}", "*"),
    ("x{i=~'(?=1)'}", "(?"),
    ("x{i=~'(?<=1)2'}", "(?"),
    (r"x{i=~'(a)\\1'}", "\\1"),
    ("x{i=~'a{1001}'}", "1001"),
    ("label_replace(x, 'i', '', 'i', '(')", "("),
    ("x{i='1' or i='2'}", "or"),
    ("x{i='1' or __name__='y'}", "or"),
    ("{__name__='x' or __name__='y'}", "or"),
    ("rate(x{i='1' or i='2'}[5m])", "or"),
    ("{}", "empty"),
    ("{i=''}", "empty"),
    ("{i=~'.*'}", "empty"),
    ("x[0s]", "0"),
    ("x[0]", "0"),
    ("rate(x[0s])", "0"),
    ("rate(x[0m0s])", "0"),
    ("x[5m:0s]", "0"),
    ("x[0s:5s]", "0"),
    ("rate(x)", "range|matrix"),
    ("rate(1)", "range|matrix"),
    ("rate('x')", "range|matrix"),
    ("abs(x[5m])", "vector"),
    ("abs(1)", "vector"),
    ("vector(x)", "scalar"),
    ("vector('x')", "scalar"),
    ("scalar(1)", "vector"),
    ("round(x, x)", "scalar"),
    ("clamp(x, 1, 'x')", "scalar"),
    ("label_join(x, 1, '', 'i')", "string"),
    ("label_replace(x, 'i', x, 'i', '')", "string"),
    ("histogram_quantile(x, x)", "scalar"),
    ("quantile_over_time(0.5, x)", "range|matrix"),
    ("predict_linear(x[5m], x)", "scalar"),
    ("absent(1)", "vector"),
    ("sum(1)", "vector"),
    ("sum('x')", "vector"),
    ("sum(x[5m])", "vector"),
    ("topk('1', x)", "scalar"),
    ("count_values(1, x)", "string"),
    ("quantile(x, x)", "scalar"),
    ("time(1)", "argument"),
    ("abs()", "argument"),
    ("abs(x, x)", "argument"),
    ("rate(x[5m], 1)", "argument"),
    ("label_replace(x, 'i')", "argument"),
    ("clamp(x, 1)", "argument"),
    ("round(x, 1, 2)", "argument"),
    ("'x' + 1", "string|scalar and instant vector"),
    ("-'x'", "string"),
    ("x[5m] + 1", "matrix|range|scalar and instant vector"),
    ("-x[5m]", "matrix|range"),
    ("1 > 2", "bool"),
    ("1 and x", "and"),
    ("x or 1", "or"),
    ("x + bool x", "bool"),
    ("x and on(i) group_left x", "group"),
    ("x * on(i) group_left(i) x", "i"),
    ("1[5m:1m]", "vector"),
    ("x @ NaN", "NaN|timestamp"),
    ("x @ Inf", "inf|timestamp"),
    ("x @ 1e300", ""),
    ("x @ 1 @ 2", "@"),
    ("x offset 1m offset 2m", "offset"),
    ("count_values('', x)", "label"),
    ("label_replace(x, '', '', 'i', '')", "label"),
    ("label_join(x, 'i', '', '')", "label"),
]


@pytest.mark.parametrize(("text", "says"), REFUSED)
def test_a_wrong_query_is_refused_and_the_reason_named(
    text: str, says: str, store: SeriesStore
) -> None:
    reason = refused(text, store).lower()
    assert any(word.lower() in reason for word in says.split("|")), reason


NOT_IN = [
    "histogram_count(x)",
    "histogram_sum(x)",
    "histogram_avg(x)",
    "histogram_stddev(x)",
    "histogram_stdvar(x)",
]
EXPERIMENTAL = [
    "double_exponential_smoothing(x[5m], 0.1, 0.1)",
    "mad_over_time(x[5m])",
    "first_over_time(x[5m])",
    "ts_of_first_over_time(x[5m])",
    "ts_of_last_over_time(x[5m])",
    "ts_of_max_over_time(x[5m])",
    "ts_of_min_over_time(x[5m])",
    "sort_by_label(x, 'i')",
    "sort_by_label_desc(x, 'i')",
    "info(x)",
    "limitk(1, x)",
    "limit_ratio(0.5, x)",
    "max_of(1, 2)",
    "min_of(1, 2)",
    "start()",
    "end()",
    "range()",
    "step()",
    "histogram_quantiles(x, 'q', 0.5)",
]


@pytest.mark.parametrize("text", NOT_IN)
def test_native_histograms_are_said_not_to_be_there(text: str, store: SeriesStore) -> None:
    assert "native histogram" in refused(text, store)


@pytest.mark.parametrize("text", EXPERIMENTAL)
def test_what_is_behind_a_feature_flag_is_said_to_be(text: str, store: SeriesStore) -> None:
    assert "experimental" in refused(text, store)


@pytest.mark.parametrize("text", ["x + fill(0) x", "x + fill_left(0) x", "x * fill_right(1) x"])
def test_what_newer_prometheus_may_fill_is_refused(text: str, store: SeriesStore) -> None:
    assert refused(text, store)


@pytest.mark.parametrize(
    "text", ["rate(x[5m] anchored)", "x[5m] smoothed", "rate(x[5m + 1m])", "x offset (1m + 1m)"]
)
def test_syntax_behind_a_feature_flag_is_refused(text: str, store: SeriesStore) -> None:
    assert refused(text, store)


# Times, steps, windows


@pytest.mark.parametrize("at", [NAN, INF, -INF])
def test_a_time_that_is_none_is_refused(at: float, store: SeriesStore) -> None:
    assert refused("x", store, at)
    with pytest.raises(PromQLError):
        query_range("x", store, at, 600.0, 15.0)
    with pytest.raises(PromQLError):
        query_range("x", store, 0.0, at, 15.0)


@pytest.mark.parametrize("step", [0.0, -15.0, NAN, INF, -INF])
def test_a_step_that_is_none_is_refused(step: float, store: SeriesStore) -> None:
    with pytest.raises(PromQLError):
        query_range("x", store, 0.0, 600.0, step)


def test_an_end_before_the_start_is_refused(store: SeriesStore) -> None:
    with pytest.raises(PromQLError):
        query_range("x", store, 600.0, 0.0, 15.0)


def test_steps_are_bounded(store: SeriesStore) -> None:
    assert len(query_range("1", store, 0.0, 10_999.0, 1.0)[0].points) == 11_000
    for end, step in [(11_001.0, 1.0), (1e15, 1.0), (1e9, 0.001)]:
        with pytest.raises(PromQLError, match=r"11.?000|not a time"):
            query_range("1", store, 0.0, end, step)


@pytest.mark.parametrize("text", ["x", "x[5m]", "rate(x[5m])", "x offset 1h", "x offset -1s"])
@pytest.mark.parametrize("at", [-1e9, -301.0, -2.0])
def test_before_the_first_sample_there_is_nothing(text: str, at: float, store: SeriesStore) -> None:
    assert query(text, store, at) == []
    if text != "x[5m]":
        assert query_range(text, store, at - 100, at, 10.0) == []


@pytest.mark.parametrize("at", [1e11, 1e15, -1e15, 1e300])
def test_times_far_away_are_answered_or_refused(at: float, store: SeriesStore) -> None:
    for text in ("x", "time()", "year()", "sum_over_time(x[100y:50y])", "day_of_year()"):
        with contextlib.suppress(PromQLError):
            query(text, store, at)


@pytest.mark.parametrize(
    "text", ["x offset 290y", "x offset -290y", "x @ -1e12", "x @ 1e14", "x[290y] @ -1e12"]
)
def test_offsets_far_away_are_answered_or_refused(text: str, store: SeriesStore) -> None:
    with contextlib.suppress(PromQLError):
        assert query(text, store, 600.0) == []


@given(st.text(max_size=40) | st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_answered_or_refused(text: str) -> None:
    store = SeriesStore()
    store.append({"__name__": "m"}, 0.0, 1.0)
    try:
        query(text, store, 0.0)
    except PromQLError as error:
        reason = str(error)
    else:
        reason = "an answer"
    assert reason
