"""The console: JSON lines for machines, readable ones with colours for a terminal."""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TextIO

from geomon import losses
from geomon.logs.readable import Paint, no_colours, paint_for, readable

Style = Literal["auto", "json", "text"]

_PIECE = getattr(select, "PIPE_BUF", 512)  # bytes that a pipe takes whole, or not at all
_PATIENCE = 1.0  # seconds that a pipe which nobody reads is waited for, once


class Console:
    """Lines on a text stream.

    Args:
        stream: The stream; None is what `sys.stderr` is at the time of writing.
        style: `"json"`, `"text"`, or `"auto"`: text on a terminal, else JSON. Text has colours on a
            terminal, unless `NO_COLOR` is set, and elsewhere where `FORCE_COLOR` is.
    """

    def __init__(self, stream: TextIO | None = None, style: Style = "auto") -> None:
        self._stream = stream
        self._style: Style = style
        self._stuck = False

    def paint(self) -> Paint | None:
        """How a readable line is painted; None where lines are JSON."""
        stream = self._now()
        try:
            if stream is not None and _is_readable(self._style, stream):
                return paint_for(stream)
        except Exception:  # a closed stream, or one of the program's own
            return no_colours if self._style == "text" else None
        return None

    def write(self, lines: Sequence[str]) -> None:
        """Writes lines that end in a newline; those that cannot be written are counted."""
        stream: Any = self._now()
        done = 0
        try:
            fd = _descriptor(stream)
            if fd is None:
                for line in lines:
                    _write(stream, line)
                    done += 1
                stream.flush()
            else:
                self._wait_for_room(fd)
                stream.flush()  # what the program has written there came first
                encoded = [line.encode(stream.encoding, "backslashreplace") for line in lines]
                for piece, number in _pieces(encoded):
                    self._send(fd, piece)
                    done += number
        except (OSError, ValueError, AttributeError) as error:  # closed, broken, or none at all
            losses.count("logs", "console_failed", max(len(lines) - done, 1))
            losses.say_once("logs", "console_failed", f"records for the console: {error}")

    def _send(self, fd: int, data: bytes) -> None:
        """Writes to the file itself: a thread that sticks there holds no lock of the stream."""
        while data:
            self._wait_for_room(fd)
            data = data[os.write(fd, data[:_PIECE]) :]

    def _wait_for_room(self, fd: int) -> None:
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        self._stuck = not poll.poll(0 if self._stuck else _PATIENCE * 1000)
        if self._stuck:
            raise TimeoutError("nobody reads them")

    def _now(self) -> TextIO | None:
        return self._stream if self._stream is not None else sys.stderr


def text_line(fields: Mapping[str, Any], paint: Paint) -> str:
    """A record as one or several readable lines."""
    return readable(fields, paint, short=True) + "\n"


def _descriptor(stream: Any) -> int | None:
    """The file of a stream that only encodes and buffers; None where it may do more."""
    if type(stream) is not io.TextIOWrapper or os.linesep != "\n" or not hasattr(select, "poll"):
        return None
    buffer = stream.buffer
    raw = buffer.raw if type(buffer) is io.BufferedWriter else buffer
    return raw.fileno() if type(raw) is io.FileIO else None


def _pieces(lines: Sequence[bytes]) -> Iterator[tuple[bytes, int]]:
    """Lines together, as many as a pipe takes at once, so that processes mix none; their number."""
    start = size = 0
    for number, line in enumerate(lines):
        if number > start and size + len(line) > _PIECE:
            yield b"".join(lines[start:number]), number - start
            start, size = number, 0
        size += len(line)
    yield b"".join(lines[start:]), len(lines) - start


def _write(stream: Any, line: str) -> None:
    try:
        stream.write(line)
    except UnicodeEncodeError:
        stream.write(line.encode("ascii", "backslashreplace").decode())


def _is_readable(style: Style, stream: TextIO) -> bool:
    return style == "text" or (style == "auto" and stream.isatty())
