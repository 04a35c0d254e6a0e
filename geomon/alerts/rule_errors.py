"""What is wrong with rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and what to write instead.

    Attributes:
        text: What it is.
        field: The part of the rule, such as `expr` or `labels.severity`.
        file: The rule file that it stands in.
        line: The line there, from 1.
    """

    text: str
    field: str = ""
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        if self.file is None:
            return self.text
        return f"{self.file}:{self.line or 1}: {self.text}"


class RuleError(ValueError):
    """Rules that cannot be used.

    Args:
        what: What they are.
        faults: Everything that is wrong.
    """

    def __init__(self, what: str, faults: Sequence[Fault]) -> None:
        super().__init__("\n  ".join([f"{what}:", *map(str, faults)]))
        self.faults = tuple(faults)
