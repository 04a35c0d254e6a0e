"""What a log record costs to take and to write as JSON, beside python-json-logger's formatter."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from pythonjsonlogger.orjson import OrjsonFormatter

import geomon
from geomon.logs.formatter import JSONFormatter
from tests.benchmarks.measure import interleaved, show

RECORDS = 10_000
EXTRAS = {
    "order_id": "o-12345",
    "amount": 12.5,
    "currency": "EUR",
    "items": 3,
    "region": "eu-west-1",
    "cached": False,
    "retries": 0,
    "path": "/v1/orders/12345",
}
FIELDS = "{message}{asctime}{levelname}{name}{module}{funcName}{lineno}"


class _Kept(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        self.record = record


def made(**options: object) -> logging.LogRecord:
    """A record as a program makes it: eight extras, one argument."""
    logger, kept = logging.Logger("shop.orders"), _Kept()
    logger.addHandler(kept)
    logger.info("order %s was paid", "o-12345", extra={**EXTRAS, **options})
    return kept.record


def failed() -> logging.LogRecord:
    """A record with an exception that has a cause."""
    logger, kept = logging.Logger("shop.orders"), _Kept()
    logger.addHandler(kept)
    try:
        try:
            raise ConnectionError("refused")
        except ConnectionError as error:
            raise ValueError("no stock") from error
    except ValueError:
        logger.exception("order %s failed", "o-12345", extra=EXTRAS)
    return kept.record


def of_records(
    function: Callable[[logging.LogRecord], object], record: logging.LogRecord, records: int
) -> Callable[[], float]:
    """Microseconds a call of `function(record)`."""

    def once() -> float:
        begin = time.perf_counter()
        for _ in range(records):
            function(record)
        return (time.perf_counter() - begin) / records * 1e6

    return once


def compare(title: str, record: logging.LogRecord, records: int = RECORDS) -> None:
    """Prints what taking and writing a record cost."""
    formatter, stock = JSONFormatter(), OrjsonFormatter(FIELDS, style="{")
    taken = formatter.snapshot(record)
    base = "OrjsonFormatter.format"
    results = interleaved(
        {
            base: of_records(stock.format, record, records),
            "snapshot": of_records(formatter.snapshot, record, records),
            "line": of_records(lambda _: formatter.line(taken), record, records),
            "snapshot and line": of_records(
                lambda record: formatter.line(formatter.snapshot(record)), record, records
            ),
        }
    )
    show(title, results, base)


def main() -> None:
    with geomon.bind(request_id="r-1a2b3c", user_id="u-7"):
        compare("A record with eight extras and two bound ids", made())
        compare("The same with a secret", made(token="sk-proj-1234567890abcdef"))
        compare("The same with a dict", made(headers={"host": "example.com", "dnt": 1}), 3_000)
        compare("The same with an exception and its cause", failed(), 1_000)


if __name__ == "__main__":
    main()
