"""The file that carries alerts, and the samples of long windows, over a restart.

One file, written beside itself and renamed: a reader sees the old one or the new one, whole. After
a line that names the format come the length and CRC-32 of what follows, a header of JSON as Python
writes it (`Infinity`, `NaN`, lone surrogates escaped), and the samples as arrays of 8-byte
little-endian numbers.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from geomon.series import Samples

_MAGIC = b"geomon alerts 2\n"
_SIZES = struct.Struct("<QQI")  # bytes of the header, of the samples, and the checksum of both
_MAX_BYTES = 1 << 30


class StateError(Exception):
    """A state file that cannot be used."""


class State(NamedTuple):
    """What a state file holds.

    Attributes:
        values: Anything that JSON knows.
        series: The samples.
    """

    values: dict[str, Any]
    series: list[Samples]


def save(path: Path, state: State) -> None:
    """Writes the file.

    Raises:
        OSError: it cannot be written; the earlier one is still there.
    """
    kept = state.series
    shapes = [[one.labels, len(one.times), len(one.ends)] for one in kept]
    header = json.dumps({"values": state.values, "series": shapes}).encode()
    body = b"".join(_bytes(part) for one in kept for part in (one.times, one.values, one.ends))
    sizes = _SIZES.pack(len(header), len(body), zlib.crc32(body, zlib.crc32(header)))
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with written.open("wb") as file:
            file.writelines((_MAGIC, sizes, header, body))
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)
    except OSError:
        written.unlink(missing_ok=True)
        raise


def load(path: Path) -> State | None:
    """Reads the file; None where there is none.

    Raises:
        StateError: it is not one, is damaged, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(str(error)) from error
    try:
        return _state(data)
    except (ValueError, TypeError, KeyError, IndexError, struct.error) as error:
        raise StateError(f"damaged: {error}") from error


def _state(data: bytes) -> State:
    if not data.startswith(_MAGIC):
        raise StateError("not a state file of this version")
    start = len(_MAGIC) + _SIZES.size
    header_size, body_size, checksum = _SIZES.unpack(data[len(_MAGIC) : start])
    header, body = data[start : start + header_size], data[start + header_size :]
    if len(body) != body_size or zlib.crc32(body, zlib.crc32(header)) != checksum:
        raise StateError("damaged: its checksum is wrong")
    found = json.loads(header)
    return State(found["values"], list(_series(found["series"], body)))


def _series(shapes: list[Any], body: bytes) -> Iterable[Samples]:
    place = 0
    for labels, count, ends in shapes:
        parts: list[Any] = []
        for kind, length in (("q", count), ("d", count), ("q", ends)):
            parts.append(_array(kind, body[place : place + 8 * length]))
            place += 8 * length
        yield Samples(labels, *parts)


def _bytes(numbers: array[Any]) -> bytes:
    if sys.byteorder == "little":
        return numbers.tobytes()
    swapped = array(numbers.typecode, numbers)
    swapped.byteswap()
    return swapped.tobytes()


def _array(kind: str, data: bytes) -> array[Any]:
    numbers: array[Any] = array(kind)
    numbers.frombytes(data)
    if sys.byteorder != "little":
        numbers.byteswap()
    return numbers
