"""Structured logs: JSON records that carry the request's ids, redacted, and never hold a call up.

    from geomon.logs import setup
    pipeline = setup(log_dir="logs")  # console, logs/app.json, logs/error.json

The parts work alone in a logging set-up of one's own: `JSONFormatter` with any handler,
`FileHandler` and `ConsoleHandler` by name in `logging.config.dictConfig`. `read` reads what was
written, as the command `geomon logs` does.
"""

from __future__ import annotations

from geomon.logs.formatter import JSONFormatter
from geomon.logs.handlers import ConsoleHandler, FileHandler
from geomon.logs.limits import Limits
from geomon.logs.pipeline import Pipeline
from geomon.logs.reader import Reading, Record, read
from geomon.logs.redaction import Redactor
from geomon.logs.set_up import setup
from geomon.logs.totals import Total, totals

__all__ = [
    "ConsoleHandler",
    "FileHandler",
    "JSONFormatter",
    "Limits",
    "Pipeline",
    "Reading",
    "Record",
    "Redactor",
    "Total",
    "read",
    "setup",
    "totals",
]
