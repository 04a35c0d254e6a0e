"""`setup()`: console, `app.json` and `error.json` behind one handler on the root logger."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from re import Pattern
from typing import Any, TextIO

from geomon import settings
from geomon.logs.console import Style
from geomon.logs.formatter import JSONFormatter
from geomon.logs.handlers import (
    BACKUPS,
    CAPACITY,
    MAX_BYTES,
    Destination,
    QueuedHandler,
    ToConsole,
    ToFile,
    checked_console,
    rotating_file,
)
from geomon.logs.limits import Limits
from geomon.logs.pipeline import Pipeline
from geomon.logs.redaction import DEFAULT, Redactor
from geomon.logs.takeover import TakeOver, checked
from geomon.logs.uncaught import Written, written_by
from geomon.logs.writer import Full

_in_force: Pipeline | None = None
_USUAL = Path("logs")


def setup(
    *,
    log_dir: str | os.PathLike[str] | None = _USUAL,
    console: bool = True,
    service: str | None = None,
    console_level: int | str = "INFO",
    file_level: int | str = "DEBUG",
    error_level: int | str = "ERROR",
    app_file: str | None = "app.json",
    error_file: str | None = "error.json",
    max_bytes: int = MAX_BYTES,
    backups: int = BACKUPS,
    stream: TextIO | None = None,
    style: Style = "auto",
    capacity: int = CAPACITY,
    full: Full = "wait",
    redact_keys: Iterable[str] = (),
    redact_patterns: Iterable[str | Pattern[str]] = (),
    limits: Limits | None = None,
    process: bool = False,
    thread: bool = False,
    static: Mapping[str, Any] | None = None,
    capture_content: bool = False,
    take_over: Iterable[TakeOver] = (),
) -> Pipeline:
    """Writes the program's log records as JSON; again replaces the earlier set-up.

    One handler is added to the root logger, and none of the program's own is removed. Where the
    root logger's level is above the lowest of the three levels, it is lowered to that. With
    `GEOMON_DISABLED=1` nothing is added and nothing changed.

    Args:
        log_dir: The directory of the two files, made when first written to; None: no files.
            Default: `logs`; under pytest no files.
        console: Whether records go to the console too.
        service: The program's name, in every record.
        console_level: The lowest level on the console.
        file_level: The lowest level in `app_file`.
        error_level: The lowest level in `error_file`.
        app_file: The file of all records; None: it is not written.
        error_file: The file of failures; None: it is not written.
        max_bytes: The size in bytes at which a file is renamed to `app.json.1`; 0: never.
        backups: How many renamed files are kept.
        stream: The console's stream; None: standard error.
        style: The console's lines: `"json"`, `"text"`, or `"auto"`: readable on a terminal.
        capacity: How many records may wait for the thread that writes.
        full: What a caller does when that many wait: `"wait"`, at most a second, or `"drop"`. What
            is dropped is counted.
        redact_keys: Further names of fields whose values are secret: `["card_number"]`.
        redact_patterns: Further shapes of secrets, as regular expressions.
        limits: The bounds of a record.
        process: Whether records name their process.
        thread: Whether records name their thread and asyncio task.
        static: Further fields of every record.
        capture_content: Whether client libraries may log below INFO, where they write prompts.
        take_over: See `Pipeline.take_over`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a value that cannot be.
    """
    global _in_force
    taken = checked(take_over)
    _check_flags(console=console, process=process, thread=thread, capture_content=capture_content)
    if log_dir is _USUAL and settings.under_pytest:
        log_dir = None
    destinations: list[Destination] = []
    if log_dir is not None:
        directory = _directory(log_dir)
        if app_file is not None and app_file == error_file:
            raise ValueError(f"app_file and error_file are both {app_file!r}: write two names")
        for name, level in ((app_file, file_level), (error_file, error_level)):
            if name is not None:
                file = rotating_file(_path(directory, name), max_bytes, backups)
                destinations.append(ToFile(file, settings.level_number(level)))
    if console:
        found = checked_console(stream, style)
        destinations.append(ToConsole(found, settings.level_number(console_level)))
    formatter = JSONFormatter(
        redactor=_redactor(redact_keys, redact_patterns),
        limits=Limits() if limits is None else limits,
        process=process,
        thread=thread,
        static=_static(service, static),
    )
    handler = QueuedHandler(
        destinations,
        level=min((one.level for one in destinations), default=logging.CRITICAL),
        formatter=formatter,
        capacity=capacity,
        full=full,
        hold=not capture_content,
        threaded=not settings.under_pytest or log_dir is not None,
    )
    if _in_force is not None:
        _in_force.close()
    _in_force = Pipeline(handler, not capture_content, _written(handler, destinations))
    _in_force.take_over(*taken)
    return _in_force


def _written(handler: QueuedHandler, destinations: Iterable[Destination]) -> Written:
    kinds = {type(one) for one in destinations if one.level <= logging.CRITICAL}
    return written_by(handler, files=ToFile in kinds, console=ToConsole in kinds)


def _directory(log_dir: str | os.PathLike[str]) -> Path:
    try:
        path = Path(log_dir)
    except TypeError:
        raise TypeError(f'log_dir={log_dir!r}: write log_dir="logs"') from None
    if not os.fspath(log_dir):
        raise ValueError(f'log_dir={log_dir!r}: write log_dir="logs", or log_dir="." for here')
    if path.exists() and not path.is_dir():
        raise ValueError(f"log_dir={str(log_dir)!r} is a file: write the name of a directory")
    return path


def _path(directory: Path, name: str) -> Path:
    if not isinstance(name, str):
        raise TypeError(f'{name!r} names no log file: write app_file="app.json", or None for none')
    return directory / name


def _check_flags(**flags: bool) -> None:
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name}={value!r}: write {name}=True or {name}=False")


def _redactor(keys: Iterable[str], patterns: Iterable[str | Pattern[str]]) -> Redactor:
    return Redactor(keys, patterns) if keys or patterns else DEFAULT


def _static(service: str | None, static: Mapping[str, Any] | None) -> dict[str, Any]:
    if service is not None and not isinstance(service, str):
        raise TypeError(f'service={service!r}: write service="shop"')
    if static is not None and not isinstance(static, Mapping):
        raise TypeError(f'static={static!r}: write a mapping, such as {{"region": "eu"}}')
    return {**({"service": service} if service else {}), **(static or {})}
