"""Records of others: uncaught exceptions, and the loggers of uvicorn, gunicorn and FastAPI."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Literal

import wrapt

TakeOver = Literal["uncaught", "uvicorn", "gunicorn", "fastapi"]

_LOGGERS = {
    "uvicorn": ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"),
    "gunicorn": ("gunicorn.error", "gunicorn.access"),
    "fastapi": ("fastapi", "fastapi_cli"),
}
# where a server sets its loggers up, which may be after us: the class, and the method
_SET_UPS = {
    "uvicorn": ("uvicorn.config", "Config.configure_logging"),
    "gunicorn": ("gunicorn.glogging", "Logger.setup"),
}
_wrapped: set[str] = set()
_in_force: set[str] = set()
_log = logging.getLogger("geomon.uncaught")


def checked(what: Iterable[TakeOver]) -> list[TakeOver]:
    """The names, each once.

    Raises:
        TypeError: it is a text instead of a list of them.
        ValueError: one that cannot be taken over.
    """
    if isinstance(what, str) or not isinstance(what, Iterable):
        raise TypeError(f"take_over={what!r}: write take_over=[{what!r}]")
    names = list(dict.fromkeys(what))
    for name in names:
        if name not in ("uncaught", *_LOGGERS):
            raise ValueError(
                f"{name!r} cannot be taken over: write "
                '"uncaught", "uvicorn", "gunicorn" or "fastapi"'
            )
    return names


def taken_over(names: Iterable[TakeOver]) -> list[Callable[[], None]]:
    """Takes over; gives what undoes it."""
    return [_uncaught() if name == "uncaught" else _loggers(name) for name in names]


def _loggers(name: str) -> Callable[[], None]:
    _in_force.add(name)
    earlier = [_taken(logging.getLogger(logger)) for logger in _LOGGERS[name]]
    if name in _SET_UPS and name not in _wrapped:
        _wrapped.add(name)
        module, method = _SET_UPS[name]
        wrapt.register_post_import_hook(lambda loaded: _wrap(loaded, method, name), module)

    def undo() -> None:
        _in_force.discard(name)
        for restore in earlier:
            restore()

    return undo


def _wrap(module: Any, method: str, name: str) -> None:
    wrapt.wrap_function_wrapper(module, method, _then_take(name))


def _then_take(name: str) -> Callable[..., Any]:
    def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        result = wrapped(*args, **kwargs)
        if name in _in_force:
            for logger in _LOGGERS[name]:
                _taken(logging.getLogger(logger))
        return result

    return wrapper


def _taken(logger: logging.Logger) -> Callable[[], None]:
    """Lets the logger's records go up to the root's handlers, and only there."""
    handlers, propagate, level = logger.handlers[:], logger.propagate, logger.level
    logger.handlers = []
    logger.propagate = True
    logger.addFilter(_without_colours)

    def restore() -> None:
        logger.removeFilter(_without_colours)
        if not logger.handlers:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)

    return restore


def _without_colours(record: logging.LogRecord) -> bool:
    """Drops uvicorn's second message, which is for terminals."""
    record.__dict__.pop("color_message", None)
    return True


# --- uncaught exceptions


def _uncaught() -> Callable[[], None]:
    earlier, earlier_thread = sys.excepthook, threading.excepthook

    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            earlier(kind, error, traceback)
            return
        _tell("uncaught exception", error, traceback)
        if earlier is not sys.__excepthook__:
            earlier(kind, error, traceback)

    def thread_hook(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is SystemExit:
            return
        name = args.thread.name if args.thread is not None else "unknown"
        error = args.exc_value if args.exc_value is not None else args.exc_type()
        _tell(f"uncaught exception in thread {name}", error, args.exc_traceback)
        if earlier_thread is not threading.__excepthook__:
            earlier_thread(args)

    sys.excepthook, threading.excepthook = hook, thread_hook

    def undo() -> None:
        if sys.excepthook is hook:
            sys.excepthook = earlier
        if threading.excepthook is thread_hook:
            threading.excepthook = earlier_thread

    return undo


def _tell(message: str, error: BaseException, traceback: TracebackType | None) -> None:
    """Logs it at the line that raised it."""
    place = _raised_at(traceback)
    if not _log.isEnabledFor(logging.CRITICAL):
        return
    told = (type(error), error, traceback)
    _log.handle(
        _log.makeRecord(_log.name, logging.CRITICAL, *place[:2], message, (), told, place[2])
    )


def _raised_at(traceback: TracebackType | None) -> tuple[str, int, str]:
    if traceback is None:
        return "(unknown file)", 0, "(unknown function)"
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback.tb_frame.f_code
    return code.co_filename, traceback.tb_lineno, code.co_name
