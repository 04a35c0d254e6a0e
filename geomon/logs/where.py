r"""A small expression that chooses records: `duration > 2 and model == "gpt-4o"`.

    expression  = and-part { "or" and-part }
    and-part    = not-part { "and" not-part }
    not-part    = "not" not-part | "(" expression ")" | comparison
    comparison  = operand ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) operand
                | operand [ "not" ] "in" ( "(" literal { "," literal } ")" | field )
                | operand ( "~" | "!~" ) string
                | field
    operand     = literal | field
    literal     = number | string | "true" | "false" | "null"

A field is a name, or a path as in `exception.type` and `usage.0.model`. A comparison with a field
that a record does not have is false, `!=` too. A field alone is true where it is there and neither
null nor false. `~` searches for a regular expression. Numbers compare with numbers and texts with
texts; anything else is unequal, neither more nor less. Nothing is ever run: this reads, and that
is all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from geomon.logs import comparing
from geomon.logs.fields import field
from geomon.logs.needles import needle
from geomon.logs.patterns import search
from geomon.logs.tokens import MAX_TEXT, Token, WhereError, tokens

__all__ = ["MAX_DEPTH", "MAX_TEXT", "Condition", "WhereError", "where"]

MAX_DEPTH = 50
"""How many `(` and `not` may stand inside one another."""


@dataclass(frozen=True)
class Condition:
    """What an expression says about a record.

    Attributes:
        test: Whether a record meets it.
        needles: Bytes that stand in the JSON line of every record that meets it.
    """

    test: Callable[[Mapping[str, Any]], bool]
    needles: frozenset[bytes] = frozenset()


@dataclass(frozen=True)
class _Operand:
    value: comparing.Value
    path: str | None = None
    literal: Any = None


def where(text: str) -> Condition:
    """Reads an expression.

    Raises:
        WhereError: A ValueError that says at which character something else should stand.
    """
    parser = _Parser(text)
    condition = parser.expression(0)
    parser.expect("end", "`and`, `or`, or the end")
    return condition


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._next = 0

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self, *kinds: str) -> Token | None:
        token = self._token
        if token.kind not in kinds:
            return None
        self._next += token.kind != "end"
        return token

    def expect(self, kind: str, what: str) -> Token:
        token = self._take(kind)
        if token is None:
            raise self._error(f"here should stand {what}")
        return token

    def _error(self, says: str) -> WhereError:
        return WhereError(self._text, self._token.at, says)

    def expression(self, depth: int) -> Condition:
        parts = [self._and(depth)]
        while self._take("or"):
            parts.append(self._and(depth))
        if len(parts) == 1:
            return parts[0]
        tests = [part.test for part in parts]
        return Condition(lambda record: any(test(record) for test in tests))

    def _and(self, depth: int) -> Condition:
        parts = [self._not(depth)]
        while self._take("and"):
            parts.append(self._not(depth))
        if len(parts) == 1:
            return parts[0]
        tests = [part.test for part in parts]
        needles = frozenset().union(*(part.needles for part in parts))
        return Condition(lambda record: all(test(record) for test in tests), needles)

    def _not(self, depth: int) -> Condition:
        if depth > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} parts stand inside one another")
        if self._take("not"):
            test = self._not(depth + 1).test
            return Condition(lambda record: not test(record))
        if self._take("("):
            condition = self.expression(depth + 1)
            self.expect(")", "`and`, `or` or `)`")
            return condition
        return self._comparison()

    def _comparison(self) -> Condition:
        left = self._operand()
        if operator := self._take(*comparing.OPERATORS):
            return self._compared(left, operator.kind, self._operand())
        if operator := self._take("~", "!~"):
            return self._searched(left, operator.kind)
        if self._take("not"):
            self.expect("in", "`in`")
            return self._contained(left, True)
        if self._take("in"):
            return self._contained(left, False)
        if left.path is None:
            raise self._error("here should stand a comparison, as in `duration > 2`")
        return Condition(comparing.is_set(left.value), _key(left))

    def _compared(self, left: _Operand, operator: str, right: _Operand) -> Condition:
        if self._token.kind in comparing.OPERATORS:
            raise self._error("one comparison at a time: write `1 < duration and duration < 5`")
        needles = _key(left) | _key(right)
        if operator == "==" and needles:  # a text that a field, not a second text, must equal
            needles |= _text(left) | _text(right)
        return Condition(comparing.compared(left.value, operator, right.value), needles)

    def _searched(self, left: _Operand, operator: str) -> Condition:
        at = self._token
        pattern = self.expect("string", "a regular expression in quotes").value
        try:
            found = search(pattern)
        except ValueError as error:
            raise WhereError(self._text, at.at, str(error)) from None
        return Condition(comparing.searched(left.value, found, operator == "~"), _key(left))

    def _contained(self, left: _Operand, negated: bool) -> Condition:
        if not self._take("("):
            right = self._operand()
            if right.path is None:
                raise self._error('here should stand a list, as in `in ("a", "b")`')
            needles = _key(left) | _key(right)
            return Condition(comparing.contained(left.value, right.value, negated), needles)
        items = [self._literal()]
        while self._take(",") and self._token.kind != ")":
            items.append(self._literal())
        self.expect(")", "`,` or `)`")
        return Condition(comparing.contained(left.value, lambda _: items, negated), _key(left))

    def _literal(self) -> Any:
        operand = self._operand()
        if operand.path is not None:
            raise self._error("a list holds numbers and texts; texts stand in quotes")
        return operand.literal

    def _operand(self) -> _Operand:
        token = self._take("number", "string", "constant", "field")
        if token is None:
            raise self._error("here should stand a field, a number or a text in quotes")
        value = token.value
        if token.kind == "field":
            return _Operand(field(value), path=value)
        return _Operand(lambda _: value, literal=value)


def _key(operand: _Operand) -> frozenset[bytes]:
    """The field's own name stands in every record that has the field."""
    if operand.path is None:
        return frozenset()
    name = operand.path.rpartition(".")[2]
    if name.isdecimal():  # a place in a list
        return frozenset()
    return _needles(needle(name, begins=name == operand.path))


def _text(operand: _Operand) -> frozenset[bytes]:
    return _needles(needle(operand.literal) if isinstance(operand.literal, str) else None)


def _needles(found: bytes | None) -> frozenset[bytes]:
    return frozenset() if found is None else frozenset((found,))
