"""One expansion while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from geomon.alerts.templates.errors import ExpansionError
from geomon.alerts.templates.limits import MAX_STEPS, check_text
from geomon.alerts.templates.values import Data
from geomon.promql import Sample

Query: TypeAlias = Callable[[str], Iterable[Sample]]
"""Gives the samples of an expression, at the time that the alert is evaluated for."""


class Run:
    """What an expansion has written, its variables, and what it may still do."""

    def __init__(self, data: Data, query: Query | None, variables: int) -> None:
        self.data = data
        self.query = query
        self.variables: list[Any] = [None] * variables
        self._pieces: list[str] = []
        self._size = 0
        self._steps = 0

    def write(self, text: str) -> None:
        """Appends to the result."""
        self._size += len(text)
        check_text(self._size)
        self._pieces.append(text)

    def step(self) -> None:
        """Counts one part that is expanded."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise ExpansionError(f"more than {MAX_STEPS} steps")

    @property
    def text(self) -> str:
        """What it has written."""
        return "".join(self._pieces)


Value: TypeAlias = Callable[[Run, Any], Any]
"""An expression: its value, given the run and what `.` is."""
Part: TypeAlias = Callable[[Run, Any], None]
"""A piece of the template that writes."""
