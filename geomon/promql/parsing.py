"""From a text to a checked tree.

The grammar is promql-parser's. What would crash it is kept from it, and what it takes that is not
PromQL is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Any, Literal, cast

import promql_parser as parser

from geomon.promql import functions, regexes
from geomon.promql.aggregations import SIMPLE
from geomon.promql.errors import PromQLError
from geomon.promql.matchers import Matcher, Matchers
from geomon.promql.operators import ARITHMETIC, COMPARISONS, SETS
from geomon.promql.refusing import check_text
from geomon.promql.rewriting import PLUS, for_parser, with_plus
from geomon.promql.tree import (
    Absent,
    Aggregation,
    At,
    Binary,
    Call,
    Kind,
    Matching,
    Negation,
    Node,
    Number,
    Plus,
    Select,
    SelectRange,
    Subquery,
    Text,
    Timestamps,
)
from geomon.series.samples import MAX_TIME

_AGGREGATIONS = {*SIMPLE, "topk", "bottomk", "quantile", "count_values"}
_OPERATORS = {*ARITHMETIC, *COMPARISONS, *SETS}
_LONGEST = timedelta(microseconds=2**63 // 1000)  # what Go's durations hold
_AT = re.compile(r" @ (-?[\d.]+)(?: offset \S+)?$")
_SYSTEM_TIME = re.compile(r"tv_sec: (-?\d+),\s+tv_nsec: (\d+)")
_MANY: dict[str, Literal["left", "right"]] = {
    "VectorMatchCardinality.ManyToOne": "left",
    "VectorMatchCardinality.OneToMany": "right",
}
_SIGNS: dict[str, Literal["=", "!=", "=~", "!~"]] = {
    "MatchOp.Equal": "=",
    "MatchOp.NotEqual": "!=",
    "MatchOp.Re": "=~",
    "MatchOp.NotRe": "!~",
}


@lru_cache(maxsize=500)
def parse(text: str) -> Node:
    """The tree of a query.

    Raises:
        PromQLError: If it is not PromQL, or not of the stable language over floats.
    """
    try:
        check_text(text)
        return _node(parser.parse(with_plus(for_parser(text))))
    except PromQLError:
        raise
    except ValueError as error:
        raise PromQLError(f"{error}") from None
    except RecursionError:
        raise PromQLError("the query is nested too deeply") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # the parser's own, and no Exception
            raise
        raise PromQLError(f"the parser gave up: {error}") from None


def _node(expr: Any) -> Node:
    return _TRANSLATIONS[type(expr)](expr)


def _number(expr: Any) -> Node:
    return Number(expr.val)


def _text(expr: Any) -> Node:
    return Text(expr.val)


def _parenthesis(expr: Any) -> Node:
    return _node(expr.expr)


def _negation(expr: Any) -> Node:
    inner = _node(expr.expr)
    return Negation(inner, inner.kind)


def _select(expr: Any) -> Select:
    if expr.matchers.or_matchers:
        raise PromQLError("PromQL has no `or` between matchers")
    found = [_matcher(matcher) for matcher in expr.matchers.matchers]
    return Select(Matchers(_name(expr.name, found), tuple(found)), _span(expr.offset), _at(expr))


def _name(name: str | None, matchers: list[Matcher]) -> str | None:
    for matcher in matchers:
        if matcher.name == "__name__" and matcher.operator == "=":
            return matcher.value
    return name


def _matcher(matcher: Any) -> Matcher:
    sign = _SIGNS[str(matcher.op)]
    if sign in ("=~", "!~"):
        regexes.anchored(matcher.value)
    return Matcher(matcher.name, sign, matcher.value)


def _select_range(expr: Any) -> Node:
    return SelectRange(_select(expr.vector_selector), _length(expr.range))


def _subquery(expr: Any) -> Node:
    step = None if expr.step is None else _length(expr.step)
    return Subquery(_node(expr.expr), _length(expr.range), step, _span(expr.offset), _at(expr))


def _at(expr: Any) -> At:
    at = expr.at
    if at is None:
        return None
    kind = str(at.type).removeprefix("AtModifierType.")
    if kind != "At":
        return "start" if kind == "Start" else "end"
    written = _AT.search(str(expr))
    if written is None:
        raise PromQLError("the time of `@` cannot be read")
    time = round(float(written[1]) * 1000) or _before_1970(expr)
    if abs(time) > MAX_TIME:
        raise PromQLError("timestamp out of bounds for @ modifier")
    return time


def _before_1970(expr: Any) -> int:
    """The time of an `@` that is written as 0; its attribute panics there."""
    *_, (seconds, nanoseconds) = _SYSTEM_TIME.findall(repr(expr)) or [(0, 0)]
    return int(seconds) * 1000 + int(nanoseconds) // 1_000_000


def _length(delta: timedelta) -> int:
    milliseconds = _span(delta)
    if milliseconds < 1:
        raise PromQLError("duration must be greater than 0")
    return milliseconds


def _span(delta: timedelta | None) -> int:
    if delta is None:
        return 0
    if abs(delta) > _LONGEST:
        raise PromQLError("duration out of range")
    return delta // timedelta(milliseconds=1)


def _binary(expr: Any) -> Node:
    chain = [expr]
    while isinstance(chain[-1].lhs, parser.BinaryExpr):
        chain.append(chain[-1].lhs)
    node = _node(chain[-1].lhs)
    for link in reversed(chain):
        node = _operation(link, node, _node(link.rhs))
    return node


def _operation(expr: Any, left: Node, right: Node) -> Node:
    sign, modifier = str(expr.op), expr.modifier
    if sign not in _OPERATORS:
        raise _not_in(f"the operator {sign}")
    if left == Number(PLUS):
        return right if isinstance(right, Number) else Plus(right, right.kind)
    kind: Kind = "scalar" if left.kind == right.kind == "scalar" else "vector"
    if modifier is None:
        return Binary(sign, left, right, Matching(), False, kind)
    fill = modifier.fill_values
    if fill is not None and (fill.lhs is not None or fill.rhs is not None):
        raise _not_in("the modifier fill")
    return Binary(sign, left, right, _matching(modifier), modifier.return_bool, kind)


def _matching(modifier: Any) -> Matching:
    matching = modifier.matching
    return Matching(
        on=matching is not None and matching.type == parser.LabelModifierType.Include,
        labels=tuple(matching.labels) if matching is not None else (),
        many=_MANY.get(str(modifier.card)),
        include=tuple(modifier.group_labels or ()),
    )


def _aggregation(expr: Any) -> Node:
    operator = str(expr.op)
    if operator not in _AGGREGATIONS:
        raise _not_in(f"the aggregation {operator}")
    parameter = None if expr.param is None else _node(expr.param)
    labels = tuple(expr.modifier.labels) if expr.modifier is not None else ()
    without = expr.modifier is not None and expr.modifier.type == parser.AggModifierType.Without
    if operator == "count_values":
        label = cast(Text, parameter).value
        if not label:
            raise PromQLError(f"invalid label name {label!r}")
        labels = labels if without else (*labels, label)
    return Aggregation(operator, _node(expr.expr), parameter, labels, without)


def _call(expr: Any) -> Node:
    name: str = expr.func.name
    if name not in functions.KNOWN:
        native = name.startswith("histogram_") and not expr.func.experimental
        raise (
            PromQLError(f"{name}() is of native histograms, which are not in")
            if native
            else _not_in(f"{name}()")
        )
    arguments = tuple(_node(argument) for argument in expr.args)
    if name in functions.DATES and not arguments:
        arguments = (Call("vector", (Call("time", (), "scalar"),), "vector"),)
    if name == "timestamp" and isinstance(arguments[0], Select):
        return Timestamps(arguments[0])
    if name in ("absent", "absent_over_time"):
        return _absent(name, arguments[0])
    return Call(name, arguments, _kind(expr.func.return_type))


def _absent(name: str, argument: Node) -> Node:
    select = argument.select if isinstance(argument, SelectRange) else argument
    labels = select.matchers.absent_labels() if isinstance(select, Select) else {}
    if name == "absent":
        return Absent(argument, labels)
    return Absent(Call("last_over_time", (argument,), "vector"), labels)


def _kind(value_type: Any) -> Kind:
    return "scalar" if value_type == parser.ValueType.Scalar else "vector"


def _not_in(what: str) -> PromQLError:
    return PromQLError(f"{what} is experimental in Prometheus, behind a feature flag, and not in")


_TRANSLATIONS: dict[type[Any], Callable[[Any], Node]] = {
    parser.AggregateExpr: _aggregation,
    parser.BinaryExpr: _binary,
    parser.Call: _call,
    parser.MatrixSelector: _select_range,
    parser.NumberLiteral: _number,
    parser.ParenExpr: _parenthesis,
    parser.StringLiteral: _text,
    parser.SubqueryExpr: _subquery,
    parser.UnaryExpr: _negation,
    parser.VectorSelector: _select,
}
