"""YAML as a tree of nodes with lines: bounded, without tags of its own, each key once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

MAX_BYTES = 2_000_000
MAX_DEPTH = 50
MAX_MERGES = 1000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"


class NodeError(ValueError):
    """What is wrong, and where.

    Attributes:
        line: From 1.
    """

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.line = line


def root(data: bytes) -> yaml.Node | None:
    """The tree of a file; None where it is empty.

    Raises:
        NodeError: If it is no YAML, or too large.
    """
    if len(data) > MAX_BYTES:
        raise NodeError(f"the file has more than {MAX_BYTES} bytes: split it", 1)
    try:
        _check_events(data)
        return yaml.compose(data, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NodeError(f"no YAML: {error.problem}", mark.line + 1 if mark else 1) from None
    except yaml.reader.ReaderError as error:
        line = data[: max(int(error.position or 0), 0)].count(b"\n") + 1
        raise NodeError(f"no YAML: {error.reason}", line) from None
    except (yaml.YAMLError, UnicodeError, RecursionError) as error:
        raise NodeError(f"no YAML: {error}", 1) from None


def _check_events(data: bytes) -> None:
    """Before a tree is made of it, which recurses."""
    depth = 0
    for event in yaml.parse(data, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise NodeError(f"more than {MAX_DEPTH} levels", line_of(event))
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise NodeError(f"tags are not read: leave {tag[:50]} out", line_of(event))


def line_of(node: Any) -> int:
    """The line that a node begins on, from 1."""
    return int(node.start_mark.line) + 1


def is_null(node: yaml.Node) -> bool:
    """Whether there is nothing."""
    return isinstance(node, yaml.ScalarNode) and node.tag == _CORE + "null"


def scalar(node: yaml.Node) -> str | None:
    """A scalar as it is written; None where it is something else."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None


def is_number(node: yaml.Node) -> bool:
    """Whether it is a whole number."""
    return isinstance(node, yaml.ScalarNode) and node.tag == _CORE + "int"


def pairs(node: yaml.MappingNode) -> tuple[list[tuple[yaml.Node, yaml.Node]], list[NodeError]]:
    """A mapping's keys and values, those of `<<` behind its own, and the faults found."""
    own: list[tuple[yaml.Node, yaml.Node]] = []
    faults: list[NodeError] = []
    seen: dict[str, int] = {}
    merged: list[yaml.Node] = []
    for key, value in node.value:
        name = scalar(key)
        if name is None:
            faults.append(NodeError("a key must be a text", line_of(key)))
        elif name in seen:
            text = f"{name[:100]!r} stands on line {seen[name]} already: write it once"
            faults.append(NodeError(text, line_of(key)))
        elif key.tag == _CORE + "merge":
            merged.append(value)
        else:
            own.append((key, value))
        seen.setdefault(name or "", line_of(key))
    try:
        own += _added(own, list(_merged(merged)))
    except NodeError as fault:
        faults.append(fault)
    return own, faults


def _added(
    own: list[tuple[yaml.Node, yaml.Node]], more: list[tuple[yaml.Node, yaml.Node]]
) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    names = {scalar(key) for key, _ in own}
    for key, value in more:
        if scalar(key) not in names:
            names.add(scalar(key))
            yield key, value


def _merged(nodes: list[yaml.Node]) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    waiting, done = list(reversed(nodes)), 0
    while waiting:
        node = waiting.pop()
        done += 1
        if done > MAX_MERGES:
            raise NodeError("`<<` goes round, or merges too much", line_of(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += reversed(node.value)
        elif isinstance(node, yaml.MappingNode):
            yield from (pair for pair in node.value if pair[0].tag != _CORE + "merge")
            waiting += [value for key, value in node.value if key.tag == _CORE + "merge"]
        else:
            raise NodeError("`<<` needs a mapping, as in <<: *name", line_of(node))
