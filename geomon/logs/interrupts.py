"""Telling an exception of a signal, which is the program's, from one of an object being shown."""

from __future__ import annotations

import functools
import opcode
import signal
import threading
from types import CodeType, TracebackType
from typing import Any

_RAISE = opcode.opmap["RAISE_VARARGS"]


def from_signal(error: BaseException) -> bool:
    """Whether a signal's handler raised it while something of geomon's ran: Ctrl-C, an alarm.

    Such an exception only happened to arrive here: containing it would take it from the program.
    """
    if threading.current_thread() is not threading.main_thread():
        return False  # handlers run in the main thread only
    places = _places(error.__traceback__)
    if isinstance(error, KeyboardInterrupt) and _is_arrival(places):
        return True
    codes = {code for number in signal.valid_signals() if (code := _handler_code(number))}
    return any(code in codes for code, _ in places)


def _places(traceback: TracebackType | None) -> list[tuple[CodeType, int]]:
    places = []
    while traceback is not None:
        places.append((traceback.tb_frame.f_code, traceback.tb_lasti))
        traceback = traceback.tb_next
    return places


def _is_arrival(places: list[tuple[CodeType, int]]) -> bool:
    """Whether no `raise` raised it: Python's own handler of SIGINT did."""
    return not places or places[-1][0].co_code[places[-1][1]] != _RAISE


def _handler_code(number: int) -> CodeType | None:
    handler: Any = signal.getsignal(number)
    while isinstance(handler, functools.partial):
        handler = handler.func
    handler = getattr(handler, "__func__", handler)
    code = getattr(handler, "__code__", None)
    if code is None and callable(handler):  # an object with a __call__
        code = getattr(type(handler).__call__, "__code__", None)
    return code if isinstance(code, CodeType) else None
