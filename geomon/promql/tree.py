"""A query, read and checked. Times are whole milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from geomon.promql.matchers import Matchers

Kind: TypeAlias = Literal["scalar", "vector", "matrix", "string"]
At: TypeAlias = int | Literal["start", "end"] | None
"""What `@` says."""


@dataclass(frozen=True)
class Number:
    """`1.5`."""

    value: float
    kind: Kind = "scalar"


@dataclass(frozen=True)
class Text:
    """`"text"`."""

    value: str
    kind: Kind = "string"


@dataclass(frozen=True)
class Select:
    """`x{a="b"} offset 1m @ 5`."""

    matchers: Matchers
    offset: int
    at: At
    kind: Kind = "vector"


@dataclass(frozen=True)
class SelectRange:
    """`x{a="b"}[5m]`."""

    select: Select
    range: int
    kind: Kind = "matrix"


@dataclass(frozen=True)
class Subquery:
    """`x[5m:1m]`; no step: the default."""

    expr: Node
    range: int
    step: int | None
    offset: int
    at: At
    kind: Kind = "matrix"


@dataclass(frozen=True)
class Negation:
    """`-x`."""

    expr: Node
    kind: Kind


@dataclass(frozen=True)
class Plus:
    """`+x`: the value of `x`, but no selector."""

    expr: Node
    kind: Kind


@dataclass(frozen=True)
class Matching:
    """How two vectors are joined.

    Attributes:
        on: Whether `labels` are all that counts, or all that does not.
        labels: The label names of `on` or `ignoring`.
        many: The side with several series of one group, if any.
        include: The labels of `group_left` or `group_right`.
    """

    on: bool = False
    labels: tuple[str, ...] = ()
    many: Literal["left", "right"] | None = None
    include: tuple[str, ...] = ()


@dataclass(frozen=True)
class Binary:
    """`a + b`; `bool` as in `a > bool b`."""

    operator: str
    left: Node
    right: Node
    matching: Matching
    bool: bool
    kind: Kind


@dataclass(frozen=True)
class Aggregation:
    """`sum by (a) (x)`."""

    operator: str
    expr: Node
    parameter: Node | None
    labels: tuple[str, ...]
    without: bool
    kind: Kind = "vector"


@dataclass(frozen=True)
class Call:
    """`rate(x[5m])`; the arguments that may be left out are there."""

    function: str
    arguments: tuple[Node, ...]
    kind: Kind


@dataclass(frozen=True)
class Timestamps:
    """`timestamp(x)` of a plain selector: the times of the samples themselves."""

    select: Select
    kind: Kind = "vector"


@dataclass(frozen=True)
class Absent:
    """`absent(x)`, `absent_over_time(x[5m])`, with the labels that the answer has."""

    expr: Node
    labels: Mapping[str, str]
    kind: Kind = "vector"


Node: TypeAlias = (
    Number
    | Text
    | Select
    | SelectRange
    | Subquery
    | Negation
    | Plus
    | Binary
    | Aggregation
    | Call
    | Timestamps
    | Absent
)
