"""The logging handlers: each takes records in the caller's thread and writes them in its own."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol, TextIO

from geomon import losses
from geomon.logs import exits
from geomon.logs.client_loggers import is_held
from geomon.logs.console import Console, Style, text_line
from geomon.logs.files import RotatingFile
from geomon.logs.formatter import JSONFormatter
from geomon.logs.interrupts import from_signal
from geomon.logs.snapshot import Snapshot
from geomon.logs.writer import Full, Writer

MAX_BYTES = 10 * 1024 * 1024
BACKUPS = 5
CAPACITY = 10_000

_DEEPEST = 3  # records made while a record is made: an object's __str__ that logs
_depth = threading.local()  # one for all handlers: such a record comes to each of them


class _Line:
    """A record that a formatter of the program's own made a text of, not redacted yet."""

    __slots__ = ("levelno", "text")

    def __init__(self, levelno: int, text: str) -> None:
        self.levelno = levelno
        self.text = text


Item = Snapshot | _Line


class Destination(Protocol):
    """Where a batch of records goes."""

    level: int

    def write(self, items: Sequence[Item], lines: Lines) -> None:
        """Writes the items that are its own; counts what it cannot write."""

    def close(self) -> None:
        """Gives back what it holds open."""


class Lines:
    """The lines of a batch, each made once, whoever writes it."""

    def __init__(self, formatter: JSONFormatter) -> None:
        self.formatter = formatter
        self._made: dict[int, bytes] = {}

    def json(self, item: Item) -> bytes:
        """The record as a line of bytes."""
        made = self._made.get(id(item))
        if made is None:
            made = self._made[id(item)] = self._line(item)
        return made

    def _line(self, item: Item) -> bytes:
        if isinstance(item, _Line):
            return self.formatter.redact(item.text).encode("utf-8", "backslashreplace") + b"\n"
        return self.formatter.line(item)


class ToFile:
    """Records into a rotating file, from a level on."""

    def __init__(self, file: RotatingFile, level: int) -> None:
        self.level = level
        self.file = file
        self.close = file.close

    def write(self, items: Sequence[Item], lines: Lines) -> None:
        """Appends the items' lines."""
        if found := [lines.json(item) for item in items if item.levelno >= self.level]:
            self.file.write(found)


class ToConsole:
    """Records onto a console, from a level on."""

    def __init__(self, console: Console, level: int) -> None:
        self.level = level
        self._console = console

    def write(self, items: Sequence[Item], lines: Lines) -> None:
        """Writes the items' lines, readable or JSON."""
        chosen = [item for item in items if item.levelno >= self.level]
        if not chosen:
            return
        paint = self._console.paint()
        self._console.write(
            [
                lines.json(item).decode()
                if paint is None or isinstance(item, _Line)
                else text_line(lines.formatter.fields(item), paint)
                for item in chosen
            ]
        )

    def close(self) -> None:
        """The stream is not this handler's to close."""


class QueuedHandler(logging.Handler):
    """Takes records in the caller's thread; a thread of its own writes them.

    Nothing is raised into the program, and nothing is lost without being counted. `flush()` waits
    until everything is written.
    """

    def __init__(
        self,
        destinations: Sequence[Destination],
        *,
        level: int | str = logging.NOTSET,
        formatter: JSONFormatter | None = None,
        capacity: int = CAPACITY,
        full: Full = "wait",
        hold: bool = True,
        threaded: bool = True,
    ) -> None:
        _check_queue(capacity, full)
        super().__init__(level)
        self.formatter = formatter or JSONFormatter()
        self._destinations = tuple(destinations)
        self._writer = Writer(self._write, capacity, full, threaded=threaded)
        self._hold = hold
        exits.cover(self)

    def createLock(self) -> None:  # noqa: N802 - logging's name
        """Needs none: a queue's put is one step."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Takes a record; whether a filter let it through."""
        if record.levelno < logging.INFO and self._hold and is_held(record.name):
            return False
        depth = getattr(_depth, "value", 0)
        if depth >= _DEEPEST and record.name != "geomon":
            losses.count("logs", "recursion")
            return False
        try:
            _depth.value = depth + 1
            if self.filters:
                kept: Any = self.filter(record)
                if not kept:
                    return False
                record = record if kept is True else kept  # since Python 3.12 another record
            self._writer.put(self._taken(record))
        finally:
            _depth.value = depth
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """As `handle`, for those who call it themselves."""
        self.handle(record)

    def flush(self, timeout: float = 5.0) -> bool:  # type: ignore[override] # says more
        """Waits until what was logged before is written; False where `timeout` s did not do."""
        return self._writer.flush(_patience(timeout))

    def end(self) -> None:
        """Writes what waits; at the process's end what comes later is written at once."""
        self._writer.stop(for_good=True)

    def close(self) -> None:
        """Writes what waits, ends the thread and closes the files, until something comes.

        `logging.config` closes every handler that there is, also those that stay in use.
        """
        if self._writer.stop(_patience()) and self._writer.pause():
            for destination in self._destinations:
                destination.close()
            self._writer.go_on()
        super().close()

    def pause(self) -> bool:
        """Keeps everything from being written until `go_on`; False where it is stuck."""
        return self._writer.pause()

    def go_on(self) -> None:
        """Ends a pause, in the thread that began it."""
        self._writer.go_on()

    def after_fork(self) -> None:
        """Starts anew in a child process."""
        self._writer.after_fork()
        for destination in self._destinations:
            destination.close()

    def _taken(self, record: logging.LogRecord) -> Item:
        formatter = self.formatter
        if isinstance(formatter, JSONFormatter):
            return formatter.snapshot(record)
        try:
            return _Line(record.levelno, self.format(record))
        except Exception as error:
            losses.count("logs", "formatter_failed")
            what = f"the formatter {type(formatter).__name__}: {type(error).__name__}"
            losses.say_once("logs", "formatter_failed", what, error)
            return _fallback().snapshot(record)

    def _write(self, items: Sequence[Item]) -> None:
        formatter = self.formatter
        lines = Lines(formatter if isinstance(formatter, JSONFormatter) else _fallback())
        depth = getattr(_depth, "value", 0)
        # in the writer's thread: a destination that logs while it writes would never be done
        _depth.value = depth or _DEEPEST
        try:
            for destination in self._destinations:
                _write(destination, items, lines)
        finally:
            _depth.value = depth


def _write(destination: Destination, items: Sequence[Item], lines: Lines) -> None:
    try:
        destination.write(items, lines)
    except BaseException as error:  # one that fails costs the others nothing
        if from_signal(error):
            raise
        losses.count("logs", "writer_failed", len(items))
        losses.say_once("logs", "writer_failed", f"log records: {type(error).__name__}", error)


def _patience(timeout: float = 5.0) -> float:
    """Seconds to wait for the writer, which itself may wait where the caller has logging's lock.

    `logging.config` has it when it closes handlers; the garbage collection of another handler
    takes it, in whatever thread that happens.
    """
    is_owned = getattr(getattr(logging, "_lock", None), "_is_owned", bool)
    return min(timeout, 0.5) if is_owned() else timeout


@cache
def _fallback() -> JSONFormatter:
    """What writes the records that a formatter of the program's cannot."""
    return JSONFormatter()


class FileHandler(QueuedHandler):
    """JSON lines into a rotating file, for a logging set-up of one's own (`dictConfig` too).

    Args:
        filename: The file, with a suffix: `logs/app.json`. It is opened when first written to. A
            second process writes `logs/app.<pid>.json`.
        level: The lowest level.
        max_bytes: At this size the file is renamed to `app.json.1`; 0: never.
        backups: How many renamed files are kept.
        capacity: How many records may wait for the writer.
        full: What a caller does when that many wait: `"wait"`, at most a second, or `"drop"`. What
            is dropped is counted.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a value that cannot be.
    """

    def __init__(
        self,
        filename: str | os.PathLike[str],
        *,
        level: int | str = logging.NOTSET,
        max_bytes: int = MAX_BYTES,
        backups: int = BACKUPS,
        capacity: int = CAPACITY,
        full: Full = "wait",
    ) -> None:
        file = rotating_file(filename, max_bytes, backups)
        super().__init__([ToFile(file, 0)], level=level, capacity=capacity, full=full)


class ConsoleHandler(QueuedHandler):
    """Records on a console, for a logging set-up of one's own (`dictConfig` too).

    Args:
        stream: The stream; None is standard error.
        level: The lowest level.
        style: `"json"`, `"text"` (readable), or `"auto"`: readable on a terminal.
        capacity: How many records may wait for the writer.
        full: What a caller does when that many wait: `"wait"`, at most a second, or `"drop"`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a value that cannot be.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        level: int | str = logging.NOTSET,
        style: Style = "auto",
        capacity: int = CAPACITY,
        full: Full = "wait",
    ) -> None:
        console = checked_console(stream, style)
        super().__init__([ToConsole(console, 0)], level=level, capacity=capacity, full=full)


def rotating_file(
    filename: str | os.PathLike[str], max_bytes: int = MAX_BYTES, backups: int = BACKUPS
) -> RotatingFile:
    """The file, with its arguments checked."""
    try:
        name = os.fspath(filename)
    except TypeError:
        raise TypeError(f'{filename!r} names no log file: write "logs/app.json"') from None
    if not isinstance(name, str) or not os.path.splitext(name)[1]:
        raise ValueError(f"{filename!r} names no log file: write one with a suffix, logs/app.json")
    if os.path.isdir(name):
        raise ValueError(f"{filename!r} is a directory: write the name of a file in it")
    whole_number("max_bytes", max_bytes, 0)
    whole_number("backups", backups, 1)
    return RotatingFile(name, max_bytes, backups)


def checked_console(stream: TextIO | None, style: Style) -> Console:
    """The console, with its arguments checked."""
    if style not in ("auto", "json", "text"):
        raise ValueError(f'style={style!r}: write "auto", "json" or "text"')
    if stream is not None and not callable(getattr(stream, "write", None)):
        raise TypeError(f"stream={stream!r} has no write(): write stream=sys.stderr")
    return Console(stream, style)


def whole_number(name: str, value: object, least: int) -> None:
    """Raises where the value is no whole number, or too small."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}={value!r}: write a whole number, not {type(value).__name__}")
    if value < least:
        raise ValueError(f"{name}={value}: write {least} or more")


def _check_queue(capacity: int, full: Full) -> None:
    whole_number("capacity", capacity, 1)
    if full not in ("wait", "drop"):
        raise ValueError(f'full={full!r}: write "wait" or "drop"')
