"""Series written as promtool writes them: `up{job="a"} 0+10x5 _ stale 1 2`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from geomon.series import STALE, SeriesStore

Labels = dict[str, str]
Series = tuple[Labels, list[float | None]]  # None where there is no sample

QUOTED = r'"(?:[^"\\]|\\.)*"'
SERIES = re.compile(rf"([a-zA-Z_:][\w:]*)?\s*(?:\{{((?:{QUOTED}|[^}}\"])*)\}})?\s*(.*)", re.S)
LABEL = re.compile(rf"\s*([\w.]+|{QUOTED})\s*(?:=\s*({QUOTED}))?\s*(?:,|$)")
NUMBER = r"[-+]?(?:nan|inf|(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)"
ITEM = re.compile(rf"(_|stale|{NUMBER})(?:([-+]{NUMBER[5:]}))?(?:x(\d+))?$", re.I)
EMPTY: Labels = {}


def read_labels(text: str) -> tuple[Labels, str]:
    """Split `name{label="value", …} rest` into its labels and the rest."""
    name, inside, rest = SERIES.fullmatch(text.strip()).groups()  # type: ignore[union-attr]
    labels = {"__name__": name} if name else {}
    at = 0
    while inside and at < len(inside.rstrip()):
        found = LABEL.match(inside, at)
        assert found, f"labels cannot be read: {inside!r}"
        key = json.loads(found[1]) if found[1].startswith('"') else found[1]
        labels |= {"__name__": key} if found[2] is None else {key: json.loads(found[2])}
        at = found.end()
    return labels, rest


def read_values(text: str) -> list[float | None]:
    """Expand `0+10x2 _x2 1x1 stale` into 0, 10, 20, None, None, 1, 1, STALE."""
    return [value for item in text.split() for value in _expand(item)]


def _expand(item: str) -> Iterator[float | None]:
    found = ITEM.match(item)
    assert found, f"a value cannot be read: {item!r}"
    first, step, times = found.groups()
    if first == "_":
        yield from [None] * int(times or 1)
    elif first == "stale":
        yield STALE
    else:
        for number in range(int(times or 0) + 1):
            yield float(first) + (float(step) * number if step else 0)


def read_series(text: str) -> list[Series]:
    """Read one series a line; empty lines and those that begin with # count for nothing."""
    lines = [line.strip() for line in text.splitlines()]
    pairs = [read_labels(line) for line in lines if line and not line.startswith("#")]
    return [(labels, read_values(values)) for labels, values in pairs]


def fill(store: SeriesStore, series: list[Series], step: float, start: float = 0.0) -> SeriesStore:
    """Append every sample of `series`, one each `step` seconds from `start` on."""
    for labels, values in series:
        for number, value in enumerate(values):
            if value is not None:
                store.append(labels, start + number * step, value)
    return store


def load(text: str, step: float = 60.0) -> SeriesStore:
    """Give a store of the series in `text`, with one value each `step` seconds from 0 on."""
    return fill(SeriesStore(retention=1e9), read_series(text), step)
