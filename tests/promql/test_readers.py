"""The readers of the tests' own tables: series, scripts, promtool's answers, missing programs."""

from __future__ import annotations

import math
import os
import shutil

import pytest

from geomon.series import STALE
from tests import servers
from tests.promql.notation import read_labels, read_values
from tests.promql.promtool import Group, ask
from tests.promql.scripts import read_script, seconds
from tests.servers import require


def test_values_are_expanded_as_promtool_expands_them() -> None:
    values = read_values("0+10x2 5-1x1 _ _x2 1x2 -2 .5 1e3 0x1")
    expected = [0, 10, 20, 5, 4, None, None, None, 1, 1, 1, -2, 0.5, 1000, 0, 0]
    assert expected == values


def test_values_that_are_no_numbers_are_read() -> None:
    nan, stale, up, down, plus = read_values("NaN stale Inf -Inf +Inf")
    assert (True, math.inf, -math.inf, math.inf) == (math.isnan(nan or 0), up, down, plus)
    assert stale is STALE


@pytest.mark.parametrize(
    ("text", "labels", "rest"),
    [
        ("up 1 2", {"__name__": "up"}, "1 2"),
        ("up{} 1", {"__name__": "up"}, "1"),
        ('{a="1"} 2', {"a": "1"}, "2"),
        ("{} 3", {}, "3"),
        ('up{a="}", b="x y",} 1', {"__name__": "up", "a": "}", "b": "x y"}, "1"),
        (r'up{a="\"\\\n"} 1', {"__name__": "up", "a": '"\\\n'}, "1"),
        ('{"a.b", "c d"="e"} 1', {"__name__": "a.b", "c d": "e"}, "1"),
    ],
)
def test_labels_are_read(text: str, labels: dict[str, str], rest: str) -> None:
    assert (labels, rest) == read_labels(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5m", 300), ("1h30m", 5400), ("-5m", -300), ("10", 10), ("1500ms", 1.5), ("0", 0)],
)
def test_durations_are_read(text: str, expected: float) -> None:
    assert expected == seconds(text)


SCRIPT = """
load 1m
  a{i="1"} 1+1x10
  a{i="2"} 5x10
"""


@pytest.mark.parametrize(
    "case",
    [
        'eval instant at 1m a\n  a{i="1"} 2\n  a{i="2"} 5',
        'eval_ordered instant at 1m sort(a)\n  a{i="1"} 2\n  a{i="2"} 5',
        "eval instant at 1m sum(a)\n  expect no_warn\n  {} 7",
        "eval instant at 1m 1 + 1\n  2",
        'eval instant at 1m "x"\n  expect string "x"',
        "eval instant at 1m none",
        "eval_fail instant at 1m a +\n  expected_fail_message unexpected end of input",
        "eval instant at 1m a +\n  expect fail regex: .*",
        'eval range from 1m to 3m step 1m a{i="1"}\n  a{i="1"} 2 3 4',
        'eval instant at 1m a[1m1s]\n  expect range vector from 0 to 1m step 1m\n  a{i="1"} 1 2'
        '\n  a{i="2"} 5 5',
    ],
)
def test_a_right_case_passes(case: str) -> None:
    (read,) = read_script(SCRIPT + case)
    read.check()


@pytest.mark.parametrize(
    "case",
    [
        'eval instant at 1m a\n  a{i="1"} 2',
        'eval instant at 1m a\n  a{i="1"} 2\n  a{i="2"} 6',
        'eval instant at 1m a{i="1"}\n  {i="1"} 2',
        'eval_ordered instant at 1m sort(a)\n  a{i="2"} 5\n  a{i="1"} 2',
        "eval instant at 1m sum(a)\n  {} NaN",
        "eval instant at 1m sum(a)",
        "eval instant at 1m none\n  {} 1",
        "eval instant at 1m 1 + 1\n  3",
        'eval instant at 1m "x"\n  expect string "y"',
        "eval_fail instant at 1m a",
        "eval instant at 1m a\n  expect fail",
        'eval range from 1m to 3m step 1m a{i="1"}\n  a{i="1"} 2 3',
        'eval range from 1m to 3m step 1m a{i="1"}\n  a{i="1"} 2 3 5',
        'eval range from 1m to 3m step 1m a{i="1"}\n  a{i="1"} 2 _ 4',
        "eval range from 1m to 3m step 1m a",
    ],
)
def test_a_wrong_case_fails(case: str) -> None:
    (read,) = read_script(SCRIPT + case)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        read.check()


def test_data_stay_until_they_are_cleared() -> None:
    loads = "load 1m\n  a 1\nload 2m\n  b 2\neval instant at 0 a + on() b\n  {} 3\n"
    cases = list(read_script(f"{loads}clear\neval instant at 0 a\n"))
    assert [len(case.loads) for case in cases] == [2, 0]
    for case in cases:
        case.check()


def test_promtools_answers_are_read() -> None:
    promtool = require("promtool", package="prometheus")
    series = [('a{t="} 1, {\\"x\\""}', "1 2 3"), ("b", "NaN Inf -Inf"), ("c", "0.1 1e300")]
    texts = ["a", "b", "c", "none", "1/3", "a +", "{__name__=~'a|b'} * 2", "count(a or b or c)"]
    answers = ask(promtool, [Group(series, 15, [(text, 15) for text in texts])])[0]
    assert answers[0] == [({"__name__": "a", "t": '} 1, {"x"'}, 2.0)]
    assert [({"__name__": "b"}, math.inf)] == answers[1]
    assert answers[2] == [({"__name__": "c"}, 1e300)]
    assert answers[3:5] == [[], [({}, 1 / 3)]]
    assert "parse error" in answers[5]
    assert len(answers[6]) == 2
    assert answers[7] == [({}, 2.0)]


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without the program, on which nothing can be installed."""
    servers._install.cache_clear()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.delenv("CI", raising=False)
    return monkeypatch


def test_a_missing_program_skips_the_test_and_says_what_to_install(
    bare_machine: pytest.MonkeyPatch,
) -> None:
    says = "promtool is missing: install Debian's package prometheus"
    with pytest.raises(pytest.skip.Exception, match=says):
        require("promtool", package="prometheus")


def test_a_missing_program_fails_the_test_in_ci(bare_machine: pytest.MonkeyPatch) -> None:
    bare_machine.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="install Debian's package prometheus"):
        require("promtool", package="prometheus")
