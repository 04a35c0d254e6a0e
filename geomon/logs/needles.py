"""Bytes that must stand in a line, found before anything is parsed.

JSON writers differ in what they escape and where they put spaces. A needle holds only characters
that they all write as they are, so that no line is lost, whoever wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_PLAIN = re.compile(r"[A-Za-z0-9_.:@ ,;-]+")


def needle(text: str, begins: bool = True, ends: bool = True) -> bytes | None:
    """The longest part of a JSON string's text that every writer writes in the same way.

    Args:
        text: The string, or a part of one.
        begins: Whether the string begins with `text`: a quote stands before it.
        ends: Whether the string ends with `text`: a quote stands after it.

    Returns:
        None where `text` has no such part: every line has to be parsed.
    """
    found = max(_PLAIN.finditer(text), key=lambda part: part.end() - part.start(), default=None)
    if found is None:
        return None
    before = '"' if begins and found.start() == 0 else ""
    after = '"' if ends and found.end() == len(text) else ""
    return (before + found.group() + after).encode()


def lines_with(needles: tuple[bytes, ...], block: bytes) -> Iterator[bytes]:
    """The lines of a block that hold every needle; all lines where there is none."""
    if not needles:
        yield from block.split(b"\n")
        return
    start = 0
    while start < len(block):
        places = [block.find(needle, start) for needle in needles]
        if min(places) < 0:
            return
        farthest = max(places)
        line = block.rfind(b"\n", start, farthest) + 1
        if line <= start:  # every needle stands in the line that begins at `start`
            end = block.find(b"\n", farthest)
            line = len(block) if end < 0 else end + 1
            yield block[start:line].removesuffix(b"\n")
        start = line
