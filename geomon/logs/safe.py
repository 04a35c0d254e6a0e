"""Text from a log file, made safe for a terminal: nothing in it moves the cursor or hides."""

from __future__ import annotations

import re

# C0 and C1 controls, line separators, marks that reorder or hide text, and halves of characters
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]+"
)
_SPACES = re.compile(r"[\t\r]")


def safe(text: str) -> str:
    r"""The text with what a terminal would obey written as `\x1b`."""
    return text if text.isprintable() else _UNSAFE.sub(_escaped, text)


def safe_lines(text: str) -> list[str]:
    """The lines of a text, each safe."""
    return [safe(line.expandtabs(4)) for line in text.replace("\r\n", "\n").split("\n")]


def safe_json(text: str) -> str:
    """The same JSON on one line, with what a terminal would obey written in JSON's own escapes."""
    if text.isprintable():
        return text
    return _UNSAFE.sub(_json_escaped, _SPACES.sub(" ", text))  # outside its strings, that is


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "backslashreplace").decode()


def _json_escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass").hex(" ", 2)
    return "\\u" + units.replace(" ", "\\u")
