"""Loggers of a library that writes secrets, silent while geomon calls it."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Sequence
from contextlib import suppress

_STATUS = re.compile(r"error=([1-5][0-9]{2})\b")


class Muted(logging.Filter):
    """Drops what this thread logs on these loggers, in a with-block; other threads log on.

    Args:
        names: The loggers' names.

    Attributes:
        status: The last HTTP status that was written.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.status: str | None = None
        self._loggers = [logging.getLogger(name) for name in names]
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record goes on."""
        if threading.get_ident() != self._thread:
            return True
        with suppress(Exception):  # its arguments may not fit
            found = _STATUS.search(record.getMessage())
            self.status = found[1] if found else self.status
        return False

    def __enter__(self) -> Muted:
        for logger in self._loggers:
            logger.addFilter(self)
        return self

    def __exit__(self, *exc: object) -> None:
        for logger in self._loggers:
            logger.removeFilter(self)
