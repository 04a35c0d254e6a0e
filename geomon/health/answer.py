"""What a health endpoint answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """A status code and a body of plain JSON values. No exception's text is in it."""

    status_code: int
    body: dict[str, Any]
