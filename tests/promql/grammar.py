"""Random expressions over the whole language, clear of where promtool 2.42 is not Prometheus 3.

promtool 2.42 counts a sample at a window's left end, Prometheus 3 does not; so no edge may fall on
a sample or on a subquery's step. Samples stand on multiples of 16 s. Queries are asked at odd
seconds, where windows and offsets are even; inside a subquery, whose steps are multiples of 8,
windows are odd and offsets multiples of 8. The 300 s of the lookback then never meet a sample.

Floats are summed in another order there, so only what is exact in any order is compared, rounded
or counted by its value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

BOTH = ["job", "instance"]
GAUGES = ["temperature", "up", "lonely"]
EXACT = [*GAUGES, "requests_total", "errors_total", "build_info", "size_bucket"]
ANGLES = ["sin", "cos", "tan", "asin", "acos", "atan", "deg", "rad"]
HYPERBOLAS = ["sinh", "cosh", "tanh", "asinh", "acosh", "atanh"]
SMOOTH = ["exp", "ln", "log2", "log10", "sqrt", "abs", *ANGLES, *HYPERBOLAS]
DAYS = ["day_of_week", "day_of_month", "day_of_year", "days_in_month"]
DATES = ["minute", "hour", *DAYS, "month", "year"]
WHOLE = ["abs", "ceil", "floor", "round", "sgn", "timestamp", "sort", "sort_desc", *DATES]
OF_WINDOWS = ["count", "min", "max", "last", "present", "sum"]
COMPARISONS = ["==", "!=", "<", "<=", ">", ">="]
MATCHERS = [
    'job="a"',
    'job!="a"',
    'job=~"a|c"',
    'job!~"a.*"',
    'instance=~"[01]"',
    'instance!~"0|1"',
    'instance!=""',
    'instance=~".+"',
    'absent=""',
    'le!="0.5"',
]


@dataclass(frozen=True)
class Node:
    """An expression, and the vectors or scalars among its parts."""

    text: str
    inner: bool  # stands in a subquery
    parts: tuple[Node, ...] = ()

    def within(self) -> Iterator[Node]:
        """Give the expression itself and all that is in it, the largest first."""
        yield self
        for part in self.parts:
            yield from part.within()


class Grammar:
    """Makes expressions; of one seed, the same ones."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.inner = False  # in a subquery now

    def expression(self) -> Node:
        """Give one expression of a few levels."""
        return self.vector(self.random.choice([1, 2, 3, 3, 4, 5]))

    def _node(self, text: str, *parts: Node) -> Node:
        return Node(text, self.inner, parts)

    def _one_of(self, *makers: Callable[[int], Node], depth: int) -> Node:
        return self.random.choice(makers)(depth)

    # times

    def _duration(self) -> str:
        seconds = self.random.choice([20, 40, 64, 90, 150, 300, 400, 640])
        return f"{seconds - 3 if self.inner else seconds}s"

    def _moved(self) -> str:
        draw = self.random.random()
        offset = self.random.choice([8, 16, 40, 120, 304, 600, -16, -64])
        if draw < 0.7:
            return ""
        if draw < 0.85:
            return f" offset {offset}s"
        at = self.random.choice(["8", "160", "808", "1600"] if self.inner else ["7", "161", "1601"])
        if not self.inner and self.random.random() < 0.3:
            at = self.random.choice(["start()", "end()"])
        return f" @ {at}" + (f" offset {offset}s" if self.random.random() < 0.3 else "")

    # selectors and windows

    def _selector(self, names: list[str]) -> str:
        matchers = self.random.sample(MATCHERS, self.random.choice([0, 0, 0, 1, 1, 2]))
        inside = ", ".join(matchers)
        if self.random.random() < 0.05:
            name = self.random.choice(names)
            return f'{{__name__=~"{name}|nothing", {inside}}}'
        return self.random.choice(names) + (f"{{{inside}}}" if inside else "")

    def selector(self, names: list[str]) -> Node:
        """Give an instant vector selector of one of these names."""
        return self._node(self._selector(names) + self._moved())

    def _window(self, names: list[str]) -> tuple[str, list[Node]]:
        return f"{self._selector(names)}[{self._duration()}]{self._moved()}", []

    def _subquery(self, make: Callable[[], Node], steps: list[int]) -> tuple[str, list[Node]]:
        duration, moved = self._duration(), self._moved()
        outside, self.inner = self.inner, True
        try:
            part = make()
        finally:
            self.inner = outside
        step = self.random.choice(steps)
        if "@" in part.text and f"{step}s" != duration and step >= int(duration[:-1]):
            step = 8  # Prometheus may evaluate what is fixed in time, even where there is no step
        text = part.text if part.text.isidentifier() else f"({part.text})"
        return f"{text}[{duration}:{step}s]{moved}", [part]

    def _windows(
        self, names: list[str], depth: int, *, exact: bool = True
    ) -> tuple[str, list[Node]]:
        if depth < 2 or self.random.random() < 0.6:
            return self._window(names)

        def make() -> Node:
            return self.exact(depth - 2) if exact else self.selector(names)

        return self._subquery(make, [8, 16, 24, 40, 64, 120])

    # vectors whose values are exact

    def exact(self, depth: int) -> Node:
        """Give a vector that is the same to the last bit, however it is summed."""
        if depth <= 0 or self.random.random() < 0.15:
            return self.selector(EXACT)
        return self._one_of(
            self._exact_aggregation,
            self._whole,
            self._exact_of_window,
            self._comparison,
            self._set,
            self._set,
            self._exact_arithmetic,
            self._label,
            self._top,
            self._odd_exact,
            depth=depth - 1,
        )

    def _grouping(self) -> str:
        labels = self.random.sample(
            [*BOTH, "le", "nothing", "__name__"], self.random.choice([1, 2])
        )
        way = self.random.choice(["by", "by", "without"])
        if way == "without":
            labels = [label for label in labels if label != "__name__"]
        return self.random.choice(["", f" {way} ({', '.join(labels)}) "])

    def _exact_aggregation(self, depth: int) -> Node:
        part = self.exact(depth)
        name = self.random.choice(["sum", "min", "max", "count", "group"])
        return self._node(f"{name}{self._grouping()}({part.text})", part)

    def _whole(self, depth: int) -> Node:
        name = self.random.choice([*WHOLE, "clamp", "clamp_min", "clamp_max", "round to"])
        if name in DATES:
            part = self.selector(["temperature", "requests_total"])
        else:
            part = self.exact(depth)
        if name == "timestamp" and "@" in part.text:
            name = "abs"  # promtool 2.42 loses samples where an offset stands beside @
        low = self.random.choice([-5, 0, 2.5])
        text = {
            "clamp": f"clamp({part.text}, {low}, {self.random.choice([-9, 2.5, 1000])})",
            "clamp_min": f"clamp_min({part.text}, {low})",
            "clamp_max": f"clamp_max({part.text}, {low})",
            "round to": f"round({part.text}, {self.random.choice([0.5, 2, 10, 60])})",
        }.get(name, f"{name}({part.text})")
        return self._node(text, part)

    def _exact_of_window(self, depth: int) -> Node:
        name = self.random.choice(
            [*(f"{way}_over_time" for way in OF_WINDOWS), "changes", "resets"]
        )
        window, parts = self._windows(EXACT, depth)
        return self._node(f"{name}({window})", *parts)

    def _comparison(self, depth: int) -> Node:
        sign = self.random.choice(COMPARISONS) + self.random.choice([" ", " ", " bool "])
        left = self.exact(depth)
        if self.random.random() < 0.5:
            number = self.random.choice(["0", "1", "2.25", "-3", "1048576", "NaN", "Inf"])
            sides = [left.text, number]
            self.random.shuffle(sides)
            return self._node(f"({sides[0]}) {sign} ({sides[1]})", left)
        right = self.exact(depth)
        return self._node(f"({left.text}) {sign}{self._matching()} ({right.text})", left, right)

    def _matching(self, *, sets: bool = False) -> str:
        way = self.random.choice(["", "on", "on", "ignoring"])
        labels = self.random.sample([*BOTH, "le", "version"], self.random.choice([0, 1, 1, 2]))
        if not way:
            return ""
        text = f"{way}({', '.join(labels)})"
        if sets or self.random.random() < 0.4:
            return text
        taken = [label for label in ("version", "instance") if label not in labels or way != "on"]
        extra = f"({self.random.choice(['', *taken])})"
        return f"{text} {self.random.choice(['group_left', 'group_right'])}{extra}"

    def _set(self, depth: int) -> Node:
        left, right = self.exact(depth), self.exact(depth)
        sign = self.random.choice(["and", "or", "unless"])
        matching = self._matching(sets=True)
        return self._node(f"({left.text}) {sign} {matching} ({right.text})", left, right)

    def _exact_arithmetic(self, depth: int) -> Node:
        part = self.selector(EXACT) if self.random.random() < 0.5 else self.exact(depth)
        number = self.random.choice(["1", "2", "0.5", "-4", "time()", f"scalar({part.text})"])
        sign = self.random.choice(["+", "-"] if "(" in number else ["+", "-", "*", "%"])
        sides = [f"({part.text})", number]
        self.random.shuffle(sides)
        text = self.random.choice([f" {sign} ".join(sides), f"-({part.text})", f"+({part.text})"])
        return self._node(text, part)

    def _label(self, depth: int) -> Node:
        part = self.exact(depth)
        target = self.random.choice([*BOTH, "new", "__name__"])
        source = self.random.choice([*BOTH, "__name__", "nothing"])
        value = self.random.choice(["x", "$1", "${1}y", "$2-$1", "", "$1x"])
        pattern = self.random.choice(["(.*)", "(.)(.*)", "", "a", "[ab](_*)", "(?P<n>.+)"])
        replaced = f'label_replace({part.text}, "{target}", "{value}", "{source}", "{pattern}")'
        joined = f'label_join({part.text}, "{target}", "-", "{source}", "instance")'
        return self._node(self.random.choice([replaced, joined]), part)

    def _top(self, _: int) -> Node:
        part = self.selector(["temperature"])
        name = self.random.choice(["topk", "bottomk"])
        number = self.random.choice([0, 1, 2, 9])
        grouping = self.random.choice(["", " by (job)", " without (instance)"])
        return self._node(f"{name}{grouping} ({number}, {part.text})", part)

    def _odd_exact(self, depth: int) -> Node:
        part = self.selector(["odd"])
        window, parts = self._windows(["odd"], depth, exact=False)
        name = self.random.choice(["sum", "min", "max", "count", "group"])
        way = self.random.choice(["sum", "min", "max", "last", "count", "present"])
        value = self.random.choice(["abs", "ceil", "floor", "sgn", "round"])
        made = [
            self._node(f"{name}{self._grouping()}({part.text})", part),
            self._node(f'count_values by (job) ("value", {part.text})', part),
            self._node(f"{way}_over_time({window})", *parts),
            self._node(f"{value}({part.text})", part),
            self._node(f"({part.text}) {self.random.choice(COMPARISONS)} bool 1", part),
        ]
        return self.random.choice(made)

    # any vector

    def vector(self, depth: int) -> Node:
        """Give a vector of any kind."""
        if depth <= 0:
            return self.exact(0)
        return self._one_of(
            self.exact,
            self._aggregation,
            self._of_counter,
            self._of_window,
            self._smooth,
            self._arithmetic,
            self._arithmetic,
            self._histogram,
            self._absent,
            self._counted,
            self._scalar,
            self._odd,
            depth=depth - 1,
        )

    def _odd(self, depth: int) -> Node:
        part = self.selector(["odd"])
        window, parts = self._windows(["odd"], depth, exact=False)
        share = self.random.choice(["0.3", "0", "1"])
        name = self.random.choice(["avg", "stddev", "stdvar"])
        value = self.random.choice(SMOOTH)
        made = [
            self._node(f"avg{self._grouping()}({part.text})", part),
            self._node(f"quantile{self._grouping()}({share}, {part.text})", part),
            self._node(f"{name}_over_time({window})", *parts),
            self._node(f"quantile_over_time({share}, {window})", *parts),
            self._node(f"{value}({part.text})", part),
            self._node(f"({part.text}) ^ {self.random.choice(['2', '0', '-1', '0.5'])}", part),
        ]
        return self.random.choice(made)

    def _aggregation(self, depth: int) -> Node:
        name = self.random.choice(["sum", "avg", "min", "max", "count", "group", "quantile", "std"])
        part = self.exact(depth) if name in ("quantile", "std") else self.vector(depth)
        if name == "std":
            part, name = self.selector(GAUGES), self.random.choice(["stddev", "stdvar"])
        share = self.random.choice(["0.5", "0", "1", "0.9", "-1", "2"])
        inside = f"{share}, {part.text}" if name == "quantile" else part.text
        return self._node(f"{name}{self._grouping()}({inside})", part)

    def _of_counter(self, depth: int) -> Node:
        name = self.random.choice(["rate", "rate", "increase", "irate", "delta"])
        if depth > 1 and self.random.random() < 0.3:
            steps = [8, 16, 24, 32, 40]
            window, parts = self._subquery(lambda: self.selector(["requests_total"]), steps)
        else:
            window, parts = self._window(["requests_total", "errors_total"])
        return self._node(f"{name}({window})", *parts)

    def _of_window(self, depth: int) -> Node:
        share = self.random.choice(["0.5", "0", "1", "0.95", "1.5"])
        ahead = self.random.choice(["60", "-3600", "time()"])
        window, parts = self._windows(["temperature", "lonely"], depth, exact=False)
        return self._node(
            self.random.choice(
                [
                    f"avg_over_time({window})",
                    f"stddev_over_time({window})",
                    f"stdvar_over_time({window})",
                    f"quantile_over_time({share}, {window})",
                    f"deriv({window})",
                    f"predict_linear({window}, {ahead})",
                    f"delta({window})",
                    f"idelta({window})",
                ]
            ),
            *parts,
        )

    def _smooth(self, depth: int) -> Node:
        part = self.exact(depth)
        return self._node(f"{self.random.choice(SMOOTH)}({part.text})", part)

    def _arithmetic(self, depth: int) -> Node:
        left, right = self.vector(depth), self.exact(depth)
        sign = self.random.choice(["+", "-", "*", "/", "^", "atan2"])
        if sign in ("^", "atan2"):
            left = self.exact(depth)
            # 2.42 leaves the name of what atan2 is given
            text = f"(({left.text}) + 0) {sign} {self._matching()} (({right.text}) + 0)"
        elif self.random.random() < 0.4:
            text = f"({left.text}) {sign} {self.random.choice(['2', '0.1', '-1e3', 'pi()'])}"
        else:
            text = f"({left.text}) {sign} {self._matching()} ({right.text})"
        return self._node(text, left, right)

    def _histogram(self, _: int) -> Node:
        share = self.random.choice(["0.47", "0.873", "0.9912", "0.031", "-1", "2"])
        window, _parts = self._window(["size_bucket"])
        raw = self.selector(["size_bucket"])
        grouping = self.random.choice(["by (le)", "by (job, le)", "without (job)", "by (job)"])
        inside = self.random.choice(
            [f"rate({window})", f"sum {grouping} (rate({window}))", f"sum {grouping} ({raw.text})"]
        )
        return self._node(f"histogram_quantile({share}, {inside})", raw)

    def _absent(self, depth: int) -> Node:
        part = self.vector(depth)
        plain = f'nothing{{job="a", instance=~".*", {self.random.choice(MATCHERS)}}}{self._moved()}'
        window, parts = self._windows(EXACT, depth)
        return self.random.choice(
            [
                self._node(f"absent({part.text})", part),
                self._node(f"absent({plain})"),
                self._node(f"absent_over_time({window})", *parts),
            ]
        )

    def _counted(self, depth: int) -> Node:
        part = self.exact(depth)
        label = self.random.choice(["value", "job"])
        return self._node(f'count_values{self._grouping()}("{label}", {part.text})', part)

    def _scalar(self, depth: int) -> Node:
        part = self.vector(depth)
        one = self.exact(depth)
        return self.random.choice(
            [
                self._node(f"scalar({part.text})", part),
                self._node(f"vector(scalar({part.text}) * 2 - 3 ^ 2 ^ 0.5)", part),
                self._node(f"({part.text}) * scalar({one.text})", part, one),
                self._node(f"clamp_max({part.text}, scalar({one.text}))", part, one),
                self._node(f"time() - {self.random.choice(['3', 'pi()'])} * -2 ^ 2"),
                self._node(f"{self.random.choice(DATES)}()"),
            ]
        )
