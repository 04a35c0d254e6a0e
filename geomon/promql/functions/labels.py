"""`label_replace` and `label_join`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from geomon.promql.errors import PromQLError
from geomon.promql.limits import check_label
from geomon.promql.regexes import anchored, matched
from geomon.promql.values import Column, Labels, Vector, unique

_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<braced>\w+)\}|(?P<plain>\w+))")


def label_replace(
    vector: Vector, target: str, replacement: str, source: str, pattern: str
) -> Vector:
    """Sets `target` to `replacement` where the whole of `source` matches `pattern`.

    Raises:
        PromQLError: If the pattern or the target is wrong, or two series become the same.
    """
    _check_name(target, "destination", "label_replace")
    try:
        compiled = anchored(pattern)
    except PromQLError as error:
        raise PromQLError(f"{error} in label_replace()") from None

    def replaced(labels: Labels) -> str | None:
        match = matched(compiled, labels.get(source, ""))
        return None if match is None else expanded(replacement, match)

    return _relabelled(vector, target, replaced)


def label_join(vector: Vector, target: str, separator: str, *sources: str) -> Vector:
    """Sets `target` to the values of `sources`, joined. Raises as `label_replace`."""
    _check_name(target, "destination", "label_join")
    for source in sources:
        _check_name(source, "source", "label_join")

    def joined(labels: Labels) -> str:
        return _text(
            [piece for source in sources for piece in (separator, labels.get(source, ""))][1:]
        )

    return _relabelled(vector, target, joined)


def expanded(template: str, match: Any) -> str:
    """The template with `$1`, `${1}` and `${name}` put in, as Go's `Regexp.Expand` does."""
    pieces: list[str] = []
    done = 0
    for reference in _REFERENCE.finditer(template):
        pieces.append(template[done : reference.start()])
        pieces.append("$" if reference["dollar"] else _group(match, reference))
        done = reference.end()
    return _text([*pieces, template[done:]])


def _group(match: Any, reference: re.Match[str]) -> str:
    name = reference["braced"] or reference["plain"]
    if name.isascii() and name.isdigit() and (name == "0" or name[0] != "0"):
        number = int(name) if len(name) < 9 else len(match.groups()) + 1
        return (match.group(number) or "") if number <= len(match.groups()) else ""
    return (match.group(name) or "") if name in match.re.groupindex else ""


def _text(pieces: list[str]) -> str:
    check_label(sum(map(len, pieces)))
    return "".join(pieces)


def _relabelled(vector: Vector, target: str, value: Callable[[Labels], str | None]) -> Vector:
    columns = []
    for column in vector:
        text = value(column.labels)
        labels = column.labels
        if text is not None:
            labels = {name: own for name, own in labels.items() if name != target}
            if text:
                labels[target] = text
        columns.append(Column(labels, column.values))
    return unique(columns)


def _check_name(name: str, role: str, function: str) -> None:
    if not name:
        raise PromQLError(f"invalid {role} label name in {function}(): {name!r}")
