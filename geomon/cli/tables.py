"""Totals as a table for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from geomon.logs.safe import safe, safe_json
from geomon.logs.totals import Total


def show_table(found: Sequence[Total]) -> None:
    """Prints one row a group."""
    console, first = Console(), found[0]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in first.group:
        table.add_column(Text(safe(name)), overflow="fold")
    for name in ("count", *first.sums):
        table.add_column(Text(safe(name)), justify="right", no_wrap=True)
    for total in found:
        table.add_row(*_cells(total))
    console.print(table, soft_wrap=not console.is_terminal)


def rows_of_json(found: Iterable[Total]) -> Iterable[str]:
    """One JSON object a group."""
    return (safe_json(json.dumps(total.row(), ensure_ascii=False)) for total in found)


def _cells(total: Total) -> list[Text]:
    groups = [Text(_group(value)) for value in total.group.values()]
    return [*groups, *(Text(_number(value)) for value in (total.count, *total.sums.values()))]


def _group(value: Any) -> str:
    if value is None:
        return "-"
    return safe(value if isinstance(value, str) else json.dumps(value))


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6f}"
