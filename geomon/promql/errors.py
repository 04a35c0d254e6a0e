"""What is wrong with a query."""

from __future__ import annotations


class PromQLError(ValueError):
    """A query that cannot be read, or whose answer is not defined.

    Attributes:
        position: The character that the fault was found at, from 0; None where it is not known.
    """

    def __init__(self, reason: str, position: int | None = None) -> None:
        place = "" if position is None else f" (at character {position})"
        super().__init__(f"{reason}{place}")
        self.position = position
