"""Random series for the comparison with promtool: counters, gauges, histograms, with their faults.

A scrape is each 16 s. Values are multiples of 1/64, so that sums of them are exact in whatever
order they are made. promtool 2.42 and Prometheus 3 extrapolate a counter differently where a
window's first sample stands more than a scrape after its start and the counter is small, so that
zero was near; therefore a counter here is large, or exactly 0, after a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

STEP = 16
SCRAPES = 130
LARGE = 2.0**20
AWAY = (1, 2, 3, 5, 21, 26)  # scrapes that are missed; the lookback is 18.75 of them


@dataclass
class Course:
    """One series on its way: its value, and for how long no gap has been."""

    value: float
    calm: int = 0


Turn = Callable[[Random, Course], float]  # one scrape further
Back = Callable[[Random, Course], float]  # the first scrape after a gap


def world(random: Random) -> list[tuple[str, str]]:
    """Give series in promtool's notation: the name with its labels, the values."""
    pairs = [(job, instance) for job in "ab" for instance in "012"]
    series = []
    for number, (job, instance) in enumerate(pairs):
        labels = f'job="{job}", instance="{instance}"'
        base = LARGE * random.randint(1, 8) + number / 64
        kinds: list[tuple[str, float, Turn, Back]] = [
            ("requests_total", base, _counts, _large_again),
            ("errors_total", 0.0, _counts_or_resets, _zero),
            ("temperature", number / 64, _wanders, _wanders),
            ("odd", 1.0, _is_odd, _is_odd),
            ("up", 1.0, _is_up_or_down, _is_up_or_down),
        ]
        for name, first, turn, back in kinds:
            if random.random() < 0.85:
                values = _values(random, Course(first), turn, back)
                series.append((f"{name}{{{labels}}}", " ".join(values)))
    for job in "ab":
        series += _histogram(random, job)
        version = random.choice(["v1", "v2"])
        series.append((f'build_info{{job="{job}", version="{version}"}}', f"1x{SCRAPES}"))
    series.append(("lonely", " ".join(_values(random, Course(3.25), _wanders, _wanders))))
    return series


def _values(random: Random, course: Course, turn: Turn, back: Back) -> Iterator[str]:
    late = random.choice([0, 0, 0, 1, 7, 30])
    yield from ["_"] * late
    yield _text(course.value)
    left = SCRAPES - late
    while left > 0:
        left -= 1
        course.calm += 1
        if random.random() < 0.04:
            gone = random.choice(AWAY)
            left -= gone
            yield from _gap(random, gone)
            course.value = back(random, course)
            course.calm = 0
        else:
            course.value = turn(random, course)
        yield _text(course.value)


def _gap(random: Random, scrapes: int) -> list[str]:
    first = "stale" if random.random() < 0.5 else "_"
    return [first, *["_"] * (scrapes - 1)]


def _text(value: float) -> str:
    return {"nan": "NaN", "inf": "Inf", "-inf": "-Inf"}.get(repr(value), repr(value))


def _counts(random: Random, course: Course) -> float:
    if course.calm > 24 and random.random() < 0.03:
        return 0.0
    return course.value + random.choice([0, 0, 0, 0.25, 1, 7.5, 20])


def _large_again(random: Random, course: Course) -> float:
    risen = course.value + random.choice([0, 3, 40])
    return risen if risen >= LARGE else risen + 8 * LARGE


def _counts_or_resets(random: Random, course: Course) -> float:
    return 0.0 if random.random() < 0.08 else course.value + random.choice([0, 0, 1, 2.5])


def _zero(_: Random, __: Course) -> float:
    return 0.0


def _wanders(random: Random, course: Course) -> float:
    return course.value + random.choice([-7.5, -1, -0.25, 0, 0, 0.25, 1.5, 7])


def _is_odd(random: Random, _: Course) -> float:
    return random.choice([float("nan"), float("inf"), -float("inf"), 0.0, 1.0, 2.5, -3.0])


def _is_up_or_down(random: Random, course: Course) -> float:
    return course.value if random.random() < 0.9 else 1 - course.value


def _histogram(random: Random, job: str) -> list[tuple[str, str]]:
    bounds = ["0.1", "0.5", "1", "5", "+Inf"]
    counts = [LARGE * 64 * rank for rank in range(1, len(bounds) + 1)]
    columns: list[list[str]] = [[] for _ in bounds]
    while len(columns[0]) < SCRAPES:
        if random.random() < 0.02:
            gap = _gap(random, random.choice(AWAY))
            for column in columns:
                column.extend(gap)
        hits = [random.choice([0, 0, 1, 3]) for _ in bounds]
        for rank, column in enumerate(columns):
            counts[rank] += sum(hits[: rank + 1])
            column.append(_text(counts[rank]))
    return [
        (f'size_bucket{{job="{job}", le="{bound}"}}', " ".join(column))
        for bound, column in zip(bounds, columns, strict=True)
    ]
