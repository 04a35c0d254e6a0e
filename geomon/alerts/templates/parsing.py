"""From tokens to what can be run: the grammar of Go's templates, without what rules never use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from geomon.alerts.templates import blocks, calls, literals
from geomon.alerts.templates.errors import TemplateError
from geomon.alerts.templates.lexing import Token, tokens
from geomon.alerts.templates.limits import MAX_DEPTH, MAX_TEMPLATE
from geomon.alerts.templates.running import Part, Value
from geomon.alerts.templates.values import FIELDS

_BLOCKS = ("if", "range", "with")
_NOT_IN = ("block", "break", "continue", "define", "template")
_GIVEN = {
    "$labels": "labels",
    "$externalLabels": "external_labels",
    "$externalURL": "external_url",
    "$value": "value",
}


@dataclass(frozen=True)
class Parsed:
    """A template that was read: its parts, and how many variables it has."""

    parts: tuple[Part, ...]
    variables: int


def parse(template: str) -> Parsed:
    """Reads a template.

    Raises:
        TemplateError: If it is wrong, or uses what is not in.
    """
    if len(template) > MAX_TEMPLATE:
        raise TemplateError(f"the template has more than {MAX_TEMPLATE} characters")
    parser = _Parser(list(tokens(template)))
    parts, ended = parser.body()
    if ended != "nothing":
        raise TemplateError(f"{{{{ {ended} }}}} stands outside of any if, range or with")
    return Parsed(parts, parser.variables)


@dataclass(frozen=True)
class _Operand:
    kind: Literal["function", "constant", "value"]
    value: Value
    name: str
    constant: Any = None


@dataclass(frozen=True)
class _Pipeline:
    value: Value
    slots: tuple[int, ...] = ()


class _Parser:
    def __init__(self, pieces: list[Token]) -> None:
        self._pieces = pieces
        self._next = 0
        self._depth = 0
        self._dots = 0  # blocks around that have changed what `.` is
        self._scope: list[tuple[str, int]] = []
        self.variables = 0

    # --- tokens

    @property
    def _token(self) -> Token:
        return self._pieces[self._next]

    def _take(self, *kinds: str) -> Token | None:
        token = self._token
        if token.kind not in kinds:
            return None
        self._next += 1
        return token

    def _take_word(self, *words: str) -> str | None:
        self._take("space")
        if self._token.kind != "word" or self._token.text not in words:
            return None
        self._next += 1
        return self._pieces[self._next - 1].text

    def _finish(self, context: str) -> None:
        self._take("space")
        if not self._take("end"):
            raise TemplateError(f"{self._token.text!r} cannot stand after {context}")

    @contextmanager
    def _inside(self, dots: int = 0) -> Iterator[None]:
        mark = len(self._scope)
        self._depth += 1
        self._dots += dots
        if self._depth > MAX_DEPTH:
            raise TemplateError(f"more than {MAX_DEPTH} parts stand inside one another")
        yield
        self._depth -= 1
        self._dots -= dots
        del self._scope[mark:]

    # --- blocks

    def body(self) -> tuple[tuple[Part, ...], str]:
        """Parts up to `end`, `else` or the template's end, and which of them it was."""
        parts: list[Part] = []
        while self._next < len(self._pieces):
            if text := self._take("text"):
                parts += [blocks.text(text.text)] if text.text else []
                continue
            self._next += 1
            if ended := self._take_word("end", "else"):
                return tuple(parts), ended
            parts.append(self._part())
        return tuple(parts), "nothing"

    def _part(self) -> Part:
        if word := self._take_word(*_NOT_IN):
            raise TemplateError(f"{word} is not in: templates of rules have if, range and with")
        if word := self._take_word(*_BLOCKS):
            return self._block(word)
        pipeline = self._pipeline("command", "end")
        return blocks.silent(pipeline.value) if pipeline.slots else blocks.shown(pipeline.value)

    def _block(self, word: str) -> Part:
        with self._inside():
            pipeline = self._pipeline(word, "end")
            with self._inside(dots=word != "if"):
                parts, ended = self.body()
            if ended == "else":
                otherwise = self._otherwise(word)
            else:
                otherwise = ()
                self._close(word, ended)
        if word == "range":
            return blocks.each(pipeline.value, pipeline.slots, parts, otherwise)
        return blocks.choice(pipeline.value, parts, otherwise, word == "with")

    def _otherwise(self, word: str) -> tuple[Part, ...]:
        if word == "if" and self._take_word("if"):
            return (self._block("if"),)
        self._finish("else")
        with self._inside():
            parts, ended = self.body()
        self._close(word, ended)
        return parts

    def _close(self, word: str, ended: str) -> None:
        if ended != "end":
            raise TemplateError(f"{word} is not closed: write {{{{ end }}}} after it")
        self._finish("end")

    # --- pipelines

    def _pipeline(self, context: str, end: str) -> _Pipeline:
        names, assigns = self._names(context)
        value = self._commands(context, end)
        if not names:
            return _Pipeline(value)
        slots = tuple(self._slot(name, assigns) for name in names)
        if context == "range":
            return _Pipeline(value, slots)
        return _Pipeline(calls.stored(value, slots[0]), slots)

    def _names(self, context: str) -> tuple[list[str], bool]:
        """The variables that a pipeline sets, if any, and whether they are there already."""
        start, names = self._next, []
        while True:
            self._take("space")
            name = self._take("variable")
            self._take("space")
            if name is None:
                break
            names.append(name.text)
            if sign := self._take("declare", "assign"):
                return names, sign.kind == "assign"
            if context != "range" or len(names) > 1 or not self._take("comma"):
                break
        self._next = start
        return [], False

    def _slot(self, name: str, assigns: bool) -> int:
        if assigns:
            slot = dict(self._scope).get(name)
            if slot is None:
                raise TemplateError(f"the variable {name} is not set: write {name} := …")
            return slot
        self._scope.append((name, self.variables))
        self.variables += 1
        return self.variables - 1

    def _commands(self, context: str, end: str) -> Value:
        value: Value | None = None
        while True:
            self._take("space")
            if self._take(end):
                break
            value = self._command(value, end)
        if value is None:
            raise TemplateError(f"missing value for {context}")
        return value

    def _command(self, piped: Value | None, end: str) -> Value:
        operands = self._operands(end)
        first, *others = operands
        if first.kind == "function":
            constant = others[0].constant if others else None
            arguments = [other.value for other in others]
            return calls.call(first.name, [*arguments, *([piped] if piped else [])], constant)
        if others or piped is not None:
            raise TemplateError(f"{first.name} is no function: it takes no arguments")
        return first.value

    def _operands(self, end: str) -> list[_Operand]:
        operands = []
        while True:
            self._take("space")
            operand = self._operand()
            operands += [operand] if operand else []
            if self._take("space"):
                continue
            if self._take("pipe") or self._token.kind == end:
                break
            raise TemplateError(f"{self._token.text!r} cannot stand here")
        if not operands:
            raise TemplateError("a command is empty")
        for operand in operands[1:]:
            if operand.kind == "function":
                calls.check_count(operand.name, 0)
        return operands

    def _operand(self) -> _Operand | None:
        operand = self._term()
        if operand is None:
            return None
        names: list[str] = []
        while token := self._take("field"):
            names.append(token.text[1:])
        if not names:
            return operand
        if operand.kind != "value" or operand.name == ".":
            raise TemplateError(f"{operand.name} has no field .{names[0]}")
        if operand.name == "$":
            _check_field(names[0])
        return _Operand("value", calls.fields(operand.value, names), operand.name)

    def _term(self) -> _Operand | None:
        token = self._take("word", "variable", "field", "dot", "open", *_CONSTANTS)
        if token is None:
            return None
        if token.kind == "word":
            return self._word(token.text)
        if token.kind == "variable":
            return _Operand("value", self._variable(token.text), token.text)
        if token.kind == "dot":
            return _Operand("value", lambda run, dot: dot, ".")
        if token.kind == "field":
            return self._field(token.text)
        if token.kind == "open":
            return self._parenthesis()
        return _constant(_CONSTANTS[token.kind](token.text), token.text)

    def _word(self, word: str) -> _Operand:
        if word in ("true", "false"):
            return _constant(word == "true", word)
        calls.check_name(word)
        return _Operand("function", lambda run, dot: calls.call(word, [], None)(run, dot), word)

    def _variable(self, name: str) -> Value:
        for known, slot in reversed(self._scope):
            if known == name:
                return calls.variable(slot)
        if name == "$":
            return lambda run, dot: run.data
        if name not in _GIVEN:
            raise TemplateError(f"the variable {name} is not set: rules have {', '.join(_GIVEN)}")
        attribute = _GIVEN[name]
        return lambda run, dot: getattr(run.data, attribute)

    def _field(self, text: str) -> _Operand:
        if not self._dots:
            _check_field(text[1:])
        return _Operand("value", calls.fields(lambda run, dot: dot, [text[1:]]), text)

    def _parenthesis(self) -> _Operand:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TemplateError(f"more than {MAX_DEPTH} parts stand inside one another")
        pipeline = self._pipeline("parentheses", "close")
        self._depth -= 1
        return _Operand("value", pipeline.value, "( )")


_CONSTANTS = {
    "string": literals.quoted,
    "raw": lambda text: text[1:-1].replace("\r", ""),
    "char": literals.rune,
    "number": literals.number,
}


def _constant(value: Any, written: str) -> _Operand:
    return _Operand("constant", lambda run, dot: value, written[:40], value)


def _check_field(name: str) -> None:
    if name not in FIELDS:
        known = ", ".join(f".{field}" for field in FIELDS)
        raise TemplateError(f"there is no .{name}: alerts have {known}; labels are .Labels.{name}")
