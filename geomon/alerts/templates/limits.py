"""How much one expansion may do."""

from __future__ import annotations

from geomon.alerts.templates.errors import ExpansionError

MAX_TEMPLATE = 50_000
"""Characters of a template."""
MAX_TEXT = 100_000
"""Characters of what a template gives, and of every text on the way."""
MAX_STEPS = 100_000
"""Parts of a template that are expanded, those in loops again each time."""
MAX_DEPTH = 50
"""Blocks and parentheses inside one another."""


def check_text(size: int) -> None:
    """Raises ExpansionError where a text would be too long."""
    if size > MAX_TEXT:
        raise ExpansionError(f"the text has more than {MAX_TEXT} characters")
