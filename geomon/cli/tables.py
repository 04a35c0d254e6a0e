"""Totals as a table for people, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.cells import cell_len

from geomon.logs.readable import Paint
from geomon.logs.safe import safe, safe_json
from geomon.logs.totals import Total

_WIDEST = 60  # a longer text moves the numbers of its own row only


def lines_of_table(found: Sequence[Total], paint: Paint) -> Iterator[str]:
    """A line of names, then one a group."""
    names = [safe(name) for name in found[0].row()]
    rows = [names, *map(_cells, found)]
    groups = len(found[0].group)
    widths = [min(max(map(_width, column)), _WIDEST) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        spaces = [" " * (width - _width(text)) for text, width in zip(row, widths, strict=True)]
        line = "  ".join(
            text + space if column < groups else space + text
            for column, (text, space) in enumerate(zip(row, spaces, strict=True))
        )
        yield line if number else paint(line, "header")


def rows_of_json(found: Iterable[Total]) -> Iterable[str]:
    """One JSON object a group."""
    return (safe_json(json.dumps(total.row(), ensure_ascii=False)) for total in found)


def _cells(total: Total) -> list[str]:
    groups = [_group(value) for value in total.group.values()]
    return [*groups, *(_number(value) for value in (total.count, *total.sums.values()))]


def _group(value: Any) -> str:
    if value is None:
        return "-"
    return safe(value if isinstance(value, str) else json.dumps(value))


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6f}"


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return len(text) if text.isascii() else cell_len(text)
