"""Go's literals, as they are written in templates."""

from __future__ import annotations

import re

from geomon.alerts.templates.errors import TemplateError

_ESCAPE = re.compile(
    r"\\(?:(?P<simple>[abfnrtv\\'\"])|x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})"
    r"|U(?P<U>[0-9a-fA-F]{8})|(?P<octal>[0-7]{3})|(?P<wrong>.?))",
    re.DOTALL,
)
_SIMPLE = dict(zip("abfnrtv\\'\"", "\a\b\f\n\r\t\v\\'\"", strict=True))
_INTEGER = re.compile(
    r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|0|[1-9](?:_?[0-9])*)"
)
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def number(written: str) -> int | float:
    """An int where it has neither a point nor an exponent.

    Raises:
        TemplateError: If it is no number, or larger than Go's.
    """
    if _INTEGER.fullmatch(written):
        value = _integer(written)
        if -(2**63) <= value < 2**63:
            return value
    elif _FLOAT.fullmatch(written):
        real = float(written)
        if abs(real) != float("inf"):
            return real
    raise TemplateError(f"{written[:40]!r} is no number: write 5, or 0.5")


def _integer(written: str) -> int:
    if len(written) > 80:
        return 2**63
    digits = written.lstrip("+-")
    if re.fullmatch(r"0[0-7_]+", digits):  # Go's old way to write octal numbers
        written = written.replace("0", "0o", 1)
    return int(written, 0)


def quoted(written: str) -> str:
    """The text of `"…"`.

    Raises:
        TemplateError: If it has an escape that Go does not have.
    """
    if written[0] == '"' and r"\'" in written.replace(r"\\", ""):
        raise TemplateError(rf"\' in {written[:40]} is no escape: write '")
    return _bytes_as_text(_ESCAPE.sub(lambda match: _unescaped(match, written), written[1:-1]))


def rune(written: str) -> int:
    """The number of the character of `'…'`.

    Raises:
        TemplateError: If it is not exactly one.
    """
    text = quoted(written)
    if len(text) != 1:
        raise TemplateError(f"{written[:40]} is no character: texts stand in double quotes")
    return ord(text)


def _unescaped(match: re.Match[str], written: str) -> str:
    if match["simple"]:
        return _SIMPLE[match["simple"]]
    code = int(match["x"] or match["u"] or match["U"] or "-1", 16)
    if match["octal"]:
        code = int(match["octal"], 8)
    is_byte = match["x"] or match["octal"]
    if code < 0 or code > (0xFF if is_byte else 0x10FFFF) or 0xD800 <= code < 0xE000:
        raise TemplateError(f"{match[0]!r} in {written[:40]} is no escape; \\\\ is a backslash")
    return chr(0xDC00 + code) if is_byte and code > 127 else chr(code)


def _bytes_as_text(text: str) -> str:
    r"""`\xff` is a byte in Go; bytes that are no UTF-8 show as U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
