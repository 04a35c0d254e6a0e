import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomon.alerts import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("5m", 300),
        ("1h30m", 5400),
        ("1d", 86_400),
        ("500ms", 0.5),
        ("1y2w3d4h5m6s7ms", timedelta(365 + 14 + 3, 4 * 3600 + 306, 7000).total_seconds()),
        ("90m", 5400),
    ],
)
def test_a_duration_has_seconds(text: str, seconds: float) -> None:
    assert durations.parse(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "1.5h",
        "-5m",
        "+5m",
        "5 m",
        "5m ",
        "5m\n",
        "1m1h",
        "1m1m",
        "m",
        "5M",
        "\u0665m",
        "1µs",
        "00",
    ],
)
def test_what_prometheus_does_not_read_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration: write .*5m"):
        durations.parse(text)


@pytest.mark.parametrize("text", ["293y", "9" * 30 + "s", "9" * 10_000 + "ms"])
def test_a_duration_that_go_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="at most 292 years"):
        durations.parse(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (300, "5m"),
        (5400, "1h30m"),
        (90 * 86_400, "90d"),
        (14 * 86_400, "2w"),
        (365 * 86_400, "1y"),
        (0.5, "500ms"),
        (65.25, "1m5s250ms"),
    ],
)
def test_a_duration_is_written_as_prometheus_does(seconds: float, text: str) -> None:
    assert durations.text(seconds) == text


@given(st.integers(0, 292 * 365 * 86_400_000))
def test_what_is_written_reads_as_the_same(milliseconds: int) -> None:
    assert durations.parse(durations.text(milliseconds / 1000)) == milliseconds / 1000


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, 1e20])
def test_a_number_that_is_no_duration_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"for_: .*write seconds from 0 up"):
        durations.seconds(value, "for_")
    with pytest.raises(ValueError, match="is no duration"):
        durations.text(value)


@pytest.mark.parametrize("value", [None, True, timedelta(1), [5]])
def test_something_else_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match=r"for_=.*write seconds, or a duration"):
        durations.seconds(value, "for_")  # type: ignore[arg-type]
