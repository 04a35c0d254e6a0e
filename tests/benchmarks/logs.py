"""What a log record costs from the call to the file, beside the standard library's handlers.

A record has eight extras and two ids, which the stock handlers get from a filter. Times are CPU
times: of all threads until the record is written, or of the calling thread alone.
"""

from __future__ import annotations

import gc
import io
import logging
import os
import tempfile
import time
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path

import orjson
from prometheus_client import CollectorRegistry
from pythonjsonlogger.orjson import OrjsonFormatter

import geomon
from geomon.logs import setup
from tests.benchmarks.measure import interleaved, show

RECORDS = 5_000
BURST = 500
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
FIELDS = "{asctime}{levelname}{name}{message}{module}{funcName}{lineno}"
STOCK = "FileHandler with OrjsonFormatter"

log = logging.getLogger("shop.orders")


def work() -> None:
    log.info("order %s was paid", "o-12345", extra=EXTRAS)


def ids(record: logging.LogRecord) -> bool:
    record.request_id, record.user_id = "r-1a2b3c", "u-7"
    return True


class Ignoring(logging.Handler):
    """Takes a record and does nothing: what making one costs."""

    def handle(self, record: logging.LogRecord) -> bool:
        return True


def stock(*handlers: logging.Handler) -> Callable[[], Callable[[], None]]:
    for handler in handlers:
        handler.setFormatter(OrjsonFormatter(FIELDS, style="{"))
        handler.addFilter(ids)

    def begin() -> Callable[[], None]:
        for handler in handlers:
            logging.getLogger().addHandler(handler)
        return lambda: None

    return begin


def whole(
    begin: Callable[[], Callable[[], object]], run: Callable[[], object] = work
) -> Callable[[], float]:
    """Microseconds a record until it is written, everything told."""
    return lambda: _timed(begin, run, RECORDS, BURST, True)


def at_the_call(
    begin: Callable[[], Callable[[], object]], run: Callable[[], object] = work
) -> Callable[[], float]:
    """Microseconds a record that the caller waits: bursts, as a program makes them."""
    return lambda: _timed(begin, run, RECORDS, BURST // 5, False)


def _timed(
    begin: Callable[[], Callable[[], object]],
    run: Callable[[], object],
    records: int,
    burst: int,
    with_writing: bool,
) -> float:
    root = logging.getLogger()
    earlier, root.handlers = root.handlers, []
    flush, seconds = begin(), 0.0
    gc.collect()
    try:
        with geomon.bind(request_id="r-1a2b3c", user_id="u-7"):
            clock = time.process_time if with_writing else time.thread_time
            for _ in range(records // burst):
                started = clock()
                for _ in range(burst):
                    run()
                if with_writing:
                    flush()
                seconds += clock() - started
                flush()
    finally:
        root.handlers = earlier
    return seconds / records * 1e6


def floor(directory: str) -> Callable[[], float]:
    """`orjson.dumps` and `os.write`, and nothing else."""
    record = {"timestamp": 0.0, "message": "order o-12345 was paid", "request_id": "r-1", **EXTRAS}
    file = os.open(f"{directory}/floor.json", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def once() -> float:
        started = time.process_time()
        for _ in range(RECORDS):
            record["timestamp"] = time.time()
            os.write(file, orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        return (time.process_time() - started) / RECORDS * 1e6

    return once


def ours(**arguments: object) -> Callable[[], Callable[[], object]]:
    pipeline = setup(**arguments)  # type: ignore[arg-type]
    logging.getLogger().removeHandler(pipeline.handler)

    def begin() -> Callable[[], object]:
        logging.getLogger().addHandler(pipeline.handler)
        return pipeline.flush

    return begin


def one_file(directory: str) -> None:
    file = stock(logging.FileHandler(f"{directory}/stock.json"))
    geomons = ours(log_dir=f"{directory}/one", console=False, error_file=None)
    results = interleaved(
        {
            STOCK: whole(file),
            "geomon, until it is written": whole(geomons),
            "geomon, at the call": at_the_call(geomons),
            "making the record": whole(stock(Ignoring())),
            "orjson.dumps + os.write": floor(directory),
        }
    )
    show("A record with eight extras and two ids, into a file", results, STOCK)


def three_handlers(directory: str) -> None:
    base = "stock: stream and two rotating files"
    rotating = [
        RotatingFileHandler(f"{directory}/{name}.json", maxBytes=10 << 20, backupCount=5)
        for name in ("app", "error")
    ]
    rotating[1].setLevel(logging.ERROR)
    stream = logging.StreamHandler(io.StringIO())
    setting = ours(log_dir=f"{directory}/three", stream=io.StringIO(), style="json")
    for title, run in (("INFO", work), ("ERROR", _error)):
        results = interleaved(
            {
                base: whole(stock(stream, *rotating), run),
                "geomon.logs.setup()": whole(setting, run),
                "geomon.logs.setup(), at the call": at_the_call(setting, run),
            }
        )
        show(f"{title} to console, app.json and error.json", results, base)


def _error() -> None:
    log.error("order %s failed", "o-12345", extra=EXTRAS)


def tracked_call(directory: str) -> None:
    @geomon.track_ai("chat", model="gpt-4o")
    def call() -> None: ...

    handle = geomon.configure(registry=CollectorRegistry(), console=False)
    file = stock(logging.FileHandler(f"{directory}/stock.json"))
    geomons = ours(log_dir=f"{directory}/call", console=False, error_file=None)
    results = interleaved(
        {STOCK: whole(file), "a tracked call and its record": whole(geomons, call)}
    )
    show("A tracked call with its record into a file, beside one stock record", results, STOCK)
    handle.close()


def main() -> None:
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO)
    with tempfile.TemporaryDirectory() as directory:
        for part in (one_file, three_handlers, tracked_call):
            part(directory)
            Path(f"{directory}/stock.json").unlink(missing_ok=True)
        setup(log_dir=None, console=False).close()
    root.setLevel(level)


if __name__ == "__main__":
    main()
