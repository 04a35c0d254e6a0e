"""What is wrong with a template."""

from __future__ import annotations


class TemplateError(ValueError):
    """A template that cannot be read, or uses what is not in: raised when it is made."""


class ExpansionError(Exception):
    """A template that failed while it was expanded; its text stands in the result."""
