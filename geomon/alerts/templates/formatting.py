"""Go's `fmt`: `print`, `println` and `printf`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from geomon.alerts.templates import floats
from geomon.alerts.templates.errors import ExpansionError
from geomon.alerts.templates.limits import check_text
from geomon.alerts.templates.quoting import quote, quote_rune
from geomon.alerts.templates.values import Data, type_name
from geomon.promql import Sample

_DIRECTIVE = re.compile(
    r"%(?P<flags>[#0+\- ]*)(?P<width>\d*)(?:(?P<point>\.)(?P<precision>\d*))?(?P<verb>.|\Z)",
    re.DOTALL,
)
_UNSUPPORTED = re.compile(r"%[0+\- ]*(?:\d*\.?\d*[*\[]|#)")
_BASES = {"b": "b", "o": "o", "O": "o", "x": "x", "X": "X", "d": "d", "v": "d"}


@dataclass(frozen=True)
class _Directive:
    verb: str = "v"
    plus: bool = False
    minus: bool = False
    space: bool = False
    zero: bool = False
    width: int = 0
    precision: int | None = None

    def pad(self, text: str) -> str:
        check_text(self.width)
        if self.minus:
            return text.ljust(self.width)
        return text.rjust(self.width, "0" if self.zero else " ")

    def sign(self, negative: bool) -> str:
        return "-" if negative else "+" if self.plus else " " if self.space else ""


def check_format(text: str) -> None:
    """Raises ValueError where a format has what is not in: `*`, `[1]` and `#`."""
    for match in _UNSUPPORTED.finditer(text.replace("%%", "")):
        raise ValueError(f"{match[0]!r} of printf is not in: write width and precision as numbers")


def show(value: Any) -> str:
    """A value as `{{ value }}` shows it."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<no value>"
    return _shown(_Directive(), value, depth=1)


def sprint(values: Sequence[Any]) -> str:
    """`print`: with spaces between two values neither of which is a text."""
    pieces: list[str] = []
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            pieces.append(" ")
        pieces.append(_shown(_Directive(), value))
    return "".join(pieces)


def sprintln(values: Sequence[Any]) -> str:
    """`println`: with spaces between all values, and a new line at the end."""
    return " ".join(_shown(_Directive(), value) for value in values) + "\n"


def sprintf(text: str, values: Sequence[Any]) -> str:
    """`printf`; a value that does not fit its verb shows as `%!d(string=a)`.

    Raises:
        ExpansionError: If the format has what is not in, or asks for a long text.
    """
    try:
        check_format(text)
    except ValueError as error:
        raise ExpansionError(str(error)) from None
    left = list(values)
    written = _DIRECTIVE.sub(lambda match: _replaced(match, left), text)
    extra = ", ".join(_typed(_Directive(), value) for value in left)
    return written + (f"%!(EXTRA {extra})" if left else "")


def _replaced(match: re.Match[str], left: list[Any]) -> str:
    verb = match["verb"]
    if verb == "%":
        return "%"
    if not verb:
        return "%!(NOVERB)"
    if not left:
        return f"%!{verb}(MISSING)"
    return _shown(_directive(match), left.pop(0))


def _directive(match: re.Match[str]) -> _Directive:
    flags, verb = match["flags"], match["verb"]
    number = {name: int((match[name] or "0")[:9]) for name in ("width", "precision")}
    check_text(number["precision"])
    return _Directive(
        verb=verb,
        plus="+" in flags and verb != "v",
        minus="-" in flags,
        space=" " in flags,
        zero="0" in flags and "-" not in flags,
        width=number["width"],
        precision=number["precision"] if match["point"] else None,
    )


def _shown(directive: _Directive, value: Any, depth: int = 0) -> str:
    if directive.verb == "T":
        return _string(replace(directive, verb="s"), type_name(value))
    if value is None:
        return directive.pad("<nil>") if directive.verb == "v" else f"%!{directive.verb}(<nil>)"
    if isinstance(value, bool):
        return _bool(directive, value)
    if isinstance(value, int):
        return _integer(directive, value)
    if isinstance(value, float):
        return _float(directive, value)
    if isinstance(value, str):
        return _string(directive, value)
    return _compound(directive, value, depth)


def _wrong(directive: _Directive, value: Any) -> str:
    return f"%!{directive.verb}({_typed(replace(directive, verb='v'), value)})"


def _typed(directive: _Directive, value: Any) -> str:
    return "<nil>" if value is None else f"{type_name(value)}={_shown(directive, value)}"


def _bool(directive: _Directive, value: bool) -> str:
    if directive.verb not in "tv":
        return _wrong(directive, value)
    return directive.pad("true" if value else "false")


def _integer(directive: _Directive, value: int) -> str:
    verb = directive.verb
    if verb in "cqU":
        return _character(directive, value)
    if verb not in _BASES:
        return _wrong(directive, value)
    sign, precision = directive.sign(value < 0), directive.precision
    if precision is None:
        precision = directive.width - len(sign) if directive.zero else 0
    elif precision == 0 and value == 0:
        return " " * directive.width
    check_text(precision)
    digits = format(abs(value), _BASES[verb]).rjust(precision, "0")
    return replace(directive, zero=False).pad(sign + ("0o" if verb == "O" else "") + digits)


def _character(directive: _Directive, value: int) -> str:
    if directive.verb == "U":
        return replace(directive, zero=False).pad(f"U+{value % 2**64:04X}")
    is_one = 0 <= value < 0xD800 or 0xE000 <= value <= 0x10FFFF
    character = chr(value) if is_one else "\ufffd"
    return directive.pad(
        quote_rune(character, directive.plus) if directive.verb == "q" else character
    )


def _float(directive: _Directive, value: float) -> str:
    written = _digits(directive.verb, directive.precision, value)
    if written is None:
        return _wrong(directive, value)
    if written in ("+Inf", "-Inf", "NaN"):
        special = "+NaN" if written == "NaN" and directive.plus else written
        special = " " + special.lstrip("+") if _spaced(directive, special) else special
        return replace(directive, zero=False).pad(special)
    sign = directive.sign(written[0] == "-")
    digits = written.removeprefix("-")
    if directive.zero and (sign == "-" or directive.plus):
        check_text(directive.width)
        return sign + digits.rjust(directive.width - 1, "0")
    return directive.pad(sign + digits)


def _spaced(directive: _Directive, special: str) -> bool:
    return directive.space and not directive.plus and special[0] != "-"


def _digits(verb: str, precision: int | None, value: float) -> str | None:
    if verb in "vgG":
        written = (
            floats.shortest(value) if precision is None else floats.fixed(value, "g", precision)
        )
        return written.upper() if verb == "G" and "n" not in written.lower() else written
    if verb in "eEfF":
        return floats.fixed(value, verb.replace("F", "f"), 6 if precision is None else precision)
    if verb in "xXb":
        raise ExpansionError(f"printf's %{verb} of a float64 is not in: write %g")
    return None


def _string(directive: _Directive, value: str) -> str:
    cut = value if directive.precision is None else value[: directive.precision]
    if directive.verb in "vs":
        return directive.pad(cut)
    if directive.verb == "q":
        return directive.pad(quote(cut, directive.plus))
    if directive.verb in "xX":
        data = value.encode("utf-8", "replace")[: directive.precision]
        digits = data.hex(" ") if directive.space and data else data.hex()
        return directive.pad(digits.upper() if directive.verb == "X" else digits)
    return _wrong(directive, value)


def _compound(directive: _Directive, value: Any, depth: int) -> str:
    if isinstance(value, Sample):
        inner = f"{{{_joined(directive, value)}}}"
        return inner if depth else f"&{inner}"
    if isinstance(value, Mapping):
        pairs = sorted(value.items())
        shown = (":".join(_shown(directive, item, 1) for item in pair) for pair in pairs)
        return f"map[{' '.join(shown)}]"
    if isinstance(value, Data):
        parts = (value.labels, value.external_labels, value.external_url, value.value)
        return f"{{{_joined(directive, parts)}}}"
    return f"[{_joined(directive, value)}]"


def _joined(directive: _Directive, values: Sequence[Any]) -> str:
    return " ".join(_shown(directive, value, 1) for value in values)
