"""Records of others: uncaught exceptions, and the loggers of uvicorn, gunicorn and FastAPI."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Literal

import wrapt

from geomon.logs import uncaught

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


def taken_over(names: Iterable[TakeOver], written: uncaught.Written) -> list[Callable[[], None]]:
    """Takes over; gives what undoes it.

    Args:
        names: What to take over.
        written: Logs a record, and says whether it was written.
    """
    return [uncaught.take_over(written) if name == "uncaught" else _loggers(name) for name in names]


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
    """Lets the logger's records go up to the root's handlers, and only there.

    A logger that writes nowhere is left as it is: so uvicorn's `--no-access-log` silences it.
    """
    handlers, propagate, level = logger.handlers[:], logger.propagate, logger.level
    if not handlers and not propagate:
        return lambda: None
    logger.handlers = []
    logger.propagate = True
    logger.addFilter(_without_colours)

    def restore() -> None:
        logger.removeFilter(_without_colours)
        if not logger.handlers and logger.propagate:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)

    return restore


def _without_colours(record: logging.LogRecord) -> bool:
    """Drops uvicorn's second message, which is for terminals."""
    record.__dict__.pop("color_message", None)
    return True
