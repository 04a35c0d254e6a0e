"""Exceptions that nobody caught: a record each; where none could be written, Python's own words."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from types import TracebackType

from geomon import losses
from geomon.logs.handlers import QueuedHandler

Written = Callable[[logging.LogRecord], bool]
"""Hands a record to its logger; whether it is known to be written somewhere."""

_log = logging.getLogger("geomon.uncaught")
_OF_ONE_KIND = frozenset(("not_written", "console_failed"))


def take_over(written: Written) -> Callable[[], None]:
    """Logs exceptions that end the program or a thread; gives what undoes it.

    A hook of the program's own is called too. Python's own hooks, which print a traceback, are
    called where no record was written.
    """
    earlier, earlier_thread = sys.excepthook, threading.excepthook

    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        told = not issubclass(kind, KeyboardInterrupt) and _told(
            written, "uncaught exception", error, traceback
        )
        if not told or earlier is not sys.__excepthook__:
            earlier(kind, error, traceback)

    def thread_hook(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is SystemExit:
            return
        name = args.thread.name if args.thread is not None else "unknown"
        error = args.exc_value if args.exc_value is not None else args.exc_type()
        message = f"uncaught exception in thread {name}"
        if (
            not _told(written, message, error, args.exc_traceback)
            or earlier_thread is not threading.__excepthook__
        ):
            earlier_thread(args)

    sys.excepthook, threading.excepthook = hook, thread_hook

    def undo() -> None:
        if sys.excepthook is hook:
            sys.excepthook = earlier
        if threading.excepthook is thread_hook:
            threading.excepthook = earlier_thread

    return undo


def _told(
    written: Written, message: str, error: BaseException, traceback: TracebackType | None
) -> bool:
    try:
        return written(_record(message, error, traceback))
    except Exception:  # from the program's own handlers, filters or record factory
        return False


def written_by(handler: QueuedHandler, files: bool, console: bool) -> Written:
    """What logs a record and waits until the handler has written it.

    Args:
        handler: The handler, which need not be in use any more by then.
        files: Whether it writes such a record to files.
        console: Whether it writes such a record to a console.
    """

    def written(record: logging.LogRecord) -> bool:
        if not _log.isEnabledFor(record.levelno):
            return False
        handler.flush()  # what is lost from here on is this record, or one that came with it
        before = losses.counts()
        if not _is_taken(record, handler) or not handler.flush():
            return False
        lost = _lost(before)
        in_files, on_console = "not_written" not in lost, "console_failed" not in lost
        return lost <= _OF_ONE_KIND and ((files and in_files) or (console and on_console))

    return written


def _is_taken(record: logging.LogRecord, handler: QueuedHandler) -> bool:
    """Hands the record to its logger; whether the handler took it."""
    names: list[str] = []

    def note(one: logging.LogRecord) -> bool:
        names.append(one.name)
        return True

    handler.addFilter(note)
    try:
        _log.handle(record)
    finally:
        handler.removeFilter(note)
    return record.name in names


def _lost(before: dict[tuple[str, str], int]) -> set[str]:
    """The reasons for which log records were lost since then."""
    now = losses.counts().items()
    return {key[1] for key, count in now if key[0] == "logs" and count != before.get(key, 0)}


def _record(
    message: str, error: BaseException, traceback: TracebackType | None
) -> logging.LogRecord:
    """The record, at the line that raised the exception."""
    file, line, function = _raised_at(traceback)
    told = (type(error), error, traceback)
    return _log.makeRecord(_log.name, logging.CRITICAL, file, line, message, (), told, function)


def _raised_at(traceback: TracebackType | None) -> tuple[str, int, str]:
    if traceback is None:
        return "(unknown file)", 0, "(unknown function)"
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback.tb_frame.f_code
    return code.co_filename, traceback.tb_lineno, code.co_name
