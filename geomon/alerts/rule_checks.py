"""What rules must be; each check gives the faults that it finds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from geomon.alerts.rule_errors import Fault
from geomon.alerts.templates import Template, TemplateError
from geomon.promql import PromQLError
from geomon.promql.parsing import parse

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_KINDS = {"matrix": "a range of samples: write rate(…), or last_over_time(…)", "string": "a text"}


def check_texts(what: str, **texts: object) -> None:
    """Raises TypeError where one is no str."""
    for name, value in texts.items():
        if not isinstance(value, str):
            raise TypeError(f"{what}({name}={value!r}): write a str, not {type(value).__name__}")


def check_mapping(what: str, name: str, value: object) -> None:
    """Raises TypeError where it is not a dict of str to str."""
    is_mapping = isinstance(value, Mapping)
    pairs = value.items() if isinstance(value, Mapping) else ()
    if is_mapping and all(isinstance(one, str) for pair in pairs for one in pair):
        return
    raise TypeError(f'{what}({name}={value!r}): write a dict of texts, {name}={{"team": "ai"}}')


def check_rules(rules: object, kinds: tuple[type, ...]) -> None:
    """Raises TypeError where they are no rules."""
    if isinstance(rules, Sequence) and all(isinstance(rule, kinds) for rule in rules):
        return
    raise TypeError("RuleGroup(rules=…): write a list of AlertRule and RecordingRule")


def alert_name(name: str) -> Iterator[Fault]:
    """Any text will do."""
    if not name:
        yield Fault("the name is empty: write one, such as AIErrorRatioHigh", "name")
    elif not _is_utf8(name):
        yield Fault("the name holds a lone surrogate: write a name of valid Unicode", "name")


def record_name(name: str) -> Iterator[Fault]:
    """A metric's name."""
    if not _METRIC.fullmatch(name):
        yield Fault(
            f"record: {name[:100]!r} is no metric name: write letters, digits, _ and :, such as "
            "ai:errors:rate5m",
            "record",
        )


def group_name(name: str) -> Iterator[Fault]:
    """Any text will do."""
    if not name:
        yield Fault("the group has no name: write one", "name")


def limit(value: object) -> Iterator[Fault]:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        yield Fault(f"limit: {value!r}: write a whole number from 0 up; 0 is no limit", "limit")


def expression(text: str) -> Iterator[Fault]:
    """PromQL that gives a vector or a number."""
    if not text:
        yield Fault("expr is empty: write PromQL, such as up == 0", "expr")
        return
    try:
        kind = parse(text).kind
    except PromQLError as error:
        yield Fault(f"expr: {error}; it is: {_short(text)}", "expr")
        return
    if kind in _KINDS:
        yield Fault(f"expr gives {_KINDS[kind]}; a rule needs a vector or a number", "expr")


def of_labels(given: Mapping[str, str], *, are_templates: bool) -> Iterator[Fault]:
    """Names that labels can have, and values that can be."""
    for name, value in given.items():
        place = f"labels.{name}"
        if name == "__name__" or not _LABEL.fullmatch(name):
            yield _wrong_name("label", name, place)
        if not _is_utf8(value):
            yield Fault(f"the label {name} holds a lone surrogate: write valid Unicode", place)
        elif are_templates:
            yield from _template("label", name, value, place)


def of_annotations(given: Mapping[str, str]) -> Iterator[Fault]:
    """Names that annotations can have, and templates that can be read."""
    for name, value in given.items():
        place = f"annotations.{name}"
        if not _LABEL.fullmatch(name):
            yield _wrong_name("annotation", name, place)
        yield from _template("annotation", name, value, place)


def _template(what: str, name: str, value: str, place: str) -> Iterable[Fault]:
    try:
        Template(value)
    except TemplateError as error:
        return [Fault(f"the {what} {_short(name)}: {error}", place)]
    return []


def _wrong_name(what: str, name: str, place: str) -> Fault:
    text = f"{name[:100]!r} is no {what} name: write letters, digits and _, such as severity"
    return Fault(text, place)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:99]}…"
