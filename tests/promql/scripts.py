"""A reader of the language in which Prometheus tests PromQL: `load`, `eval`, `expect`, `clear`.

```
load 5m
  http_requests{job="api"} 0+10x10

eval instant at 50m sum(http_requests)
  {} 100

eval range from 0 to 10m step 5m http_requests
  http_requests{job="api"} 0 10 20

eval instant at 50m http_requests + on() http_requests{job=~".*"} + on() (x or y)
  expect fail msg: many-to-many
```

Three ways to say what must fail are known: `eval_fail`, `expect fail` and `expected_fail_message`.
The texts of messages are Prometheus's own, and so are not compared; warnings and notes are not
either. An instant query is also asked as a range query whose middle step it is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from geomon.promql import PromQLError, query, query_range
from geomon.series import SeriesStore
from tests.promql.notation import Labels, fill, read_labels, read_series, read_values

DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w|y)")
UNITS = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "y": 31536000.0,
}
COMMAND = re.compile(
    r"eval(?P<way>|_fail|_warn|_info|_ordered) "
    r"(?:instant at (?P<at>\S+)|range from (?P<start>\S+) to (?P<end>\S+) step (?P<step>\S+))"
    r"\s+(?P<text>.*)"
)
CHECKS = ("expect ", "expected_fail_message", "expected_fail_regexp")
PLAIN = re.compile(r"[-+]?(nan|inf|[\d.][\w.+-]*)", re.I)
SPAN = re.compile(r"@ (start|end)\(\)")  # means another time in a range query
IGNORED = 1e-6  # as in Prometheus's own: relative, for values that are not whole


def seconds(text: str) -> float:
    """Read `1h30m`, `-5m` or a plain number of seconds."""
    sign = -1.0 if text.startswith("-") else 1.0
    bare = text.lstrip("+-")
    if re.fullmatch(r"[\d.]+", bare):
        return sign * float(bare)
    parts = DURATION.findall(bare)
    assert "".join(n + unit for n, unit in parts) == bare, f"no duration: {text!r}"
    return sign * sum(float(number) * UNITS[unit] for number, unit in parts)


@dataclass
class Case:
    """One `eval` with the data that were loaded before it, and what it must give."""

    line: int
    text: str
    loads: list[tuple[float, str]]
    start: float
    end: float
    step: float  # 0 where the query is an instant one
    fails: bool = False
    ordered: bool = False
    string: str | None = None
    window: tuple[float, float] | None = None  # start and step of an expected range vector
    expected: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Ask the query, and assert that it gives what is expected."""
        store = SeriesStore(retention=1e9)
        for step, series in self.loads:
            fill(store, read_series(series), step)
        if self.fails:
            self._check_failure(store)
        elif self.step:
            series = query_range(self.text, store, self.start, self.end, self.step)
            self._check_series(self._points(series), self.start, self.step)
        else:
            self._check_instant(store)

    def _check_failure(self, store: SeriesStore) -> None:
        with pytest.raises(PromQLError, match=r"."):
            self._ask(store)

    def _ask(self, store: SeriesStore) -> Any:
        if self.step:
            return query_range(self.text, store, self.start, self.end, self.step)
        return query(self.text, store, at=self.start)

    def _check_instant(self, store: SeriesStore) -> None:
        given = self._ask(store)
        if self.string is not None:
            assert self.string == given
        elif isinstance(given, float | int):
            (expected,) = self.expected
            assert same(_plain(expected), float(given)), (expected, given)
        elif given and hasattr(given[0], "points"):
            assert self.window, f"a range vector is not expected: {given}"
            self._check_series(self._points(given), *self.window)
        else:
            self._check_samples([(dict(s.labels), s.value) for s in given])
            if not (self.ordered or SPAN.search(self.text)):
                self._check_samples(self._in_a_range(store))

    def _in_a_range(self, store: SeriesStore) -> list[tuple[Labels, float]]:
        around = query_range(self.text, store, self.start - 60, self.start + 60, 60.0)
        return [
            (labels, points[self.start])
            for labels, points in self._points(around)
            if self.start in points
        ]

    @staticmethod
    def _points(series: list[Any]) -> list[tuple[Labels, dict[float, float]]]:
        return [(dict(one.labels), {float(t): v for t, v in one.points}) for one in series]

    def _check_samples(self, given: list[tuple[Labels, float]]) -> None:
        expected = [(labels, _plain(value)) for labels, value in map(read_labels, self.expected)]
        if not self.ordered:
            expected, given = _sorted(expected), _sorted(given)
        assert [labels for labels, _ in expected] == [labels for labels, _ in given]
        for (labels, value), (_, other) in zip(expected, given, strict=True):
            assert same(value, other), f"{labels}: {value!r} is expected, {other!r} is given"

    def _check_series(
        self, given: list[tuple[Labels, dict[float, float]]], start: float, step: float
    ) -> None:
        expected = []
        for line in self.expected:
            labels, values = read_labels(line)
            points = {
                start + number * step: value
                for number, value in enumerate(read_values(values))
                if value is not None
            }
            expected.append((labels, points))
        expected, given = _sorted(expected), _sorted(given)
        assert [labels for labels, _ in expected] == [labels for labels, _ in given]
        for (labels, points), (_, others) in zip(expected, given, strict=True):
            assert list(points) == sorted(others), (labels, points, others)
            for at, value in points.items():
                assert same(value, others[at]), (labels, at, value, others[at])


def same(expected: float, given: float) -> bool:
    """Tell whether two values are one, to within what floats leave open; NaN is NaN."""
    if math.isnan(expected) or math.isnan(given):
        return math.isnan(expected) and math.isnan(given)
    return math.isclose(expected, given, rel_tol=IGNORED)


def _plain(text: str) -> float:
    assert PLAIN.fullmatch(text.strip()), f"no number: {text!r}"
    (value,) = read_values(text)
    assert value is not None
    return value


def _sorted(pairs: list[tuple[Labels, Any]]) -> list[tuple[Labels, Any]]:
    return sorted(pairs, key=lambda pair: sorted(pair[0].items()))


def read_script(text: str) -> Iterator[Case]:
    """Give every `eval` of a script in its order."""
    loads: list[tuple[float, str]] = []
    case: Case | None = None
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if line[0].isspace():
            if case:
                _tell(case, bare)
            else:
                step, series = loads[-1]
                loads[-1] = step, f"{series}\n{bare}"
            continue
        if case:
            yield case
            case = None
        if bare == "clear":
            loads = []
        elif bare.startswith("load "):
            loads = [*loads, (seconds(bare.split()[1]), "")]
        else:
            case = _read_eval(bare, number, list(loads))
    if case:
        yield case


def _read_eval(line: str, number: int, loads: list[tuple[float, str]]) -> Case:
    found = COMMAND.fullmatch(line)
    assert found, f"line {number}: {line!r}"
    start = seconds(found["at"] or found["start"])
    return Case(
        line=number,
        text=found["text"],
        loads=loads,
        start=start,
        end=seconds(found["end"]) if found["end"] else start,
        step=seconds(found["step"]) if found["step"] else 0.0,
        fails=found["way"] == "_fail",
        ordered=found["way"] == "_ordered",
    )


def _tell(case: Case, line: str) -> None:
    if not line.startswith(CHECKS):
        case.expected.append(line)
    elif line.startswith(("expect fail", "expected_fail")):
        case.fails = True
    elif line == "expect ordered":
        case.ordered = True
    elif line.startswith("expect string "):
        case.string = json.loads(line.removeprefix("expect string "))
    elif line.startswith("expect range vector "):
        words = line.split()
        case.window = seconds(words[4]), seconds(words[8])


def read_scripts(folder: Path) -> Iterator[tuple[str, Case]]:
    """Give every case of every script in `folder`, with the name to report it under."""
    for path in sorted(folder.glob("*.test")):
        for case in read_script(path.read_text()):
            yield f"{path.stem}:{case.line}", case
