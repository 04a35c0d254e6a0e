"""The functions of templates: Go's own, and those that Prometheus adds for rules."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from geomon.alerts import durations
from geomon.alerts.templates import comparing, formatting, hosts, humanizing, regexes, texts
from geomon.alerts.templates.errors import ExpansionError
from geomon.alerts.templates.running import Run
from geomon.alerts.templates.values import Arguments, is_true, type_name
from geomon.promql import Sample

Kind: TypeAlias = Literal["any", "string", "result", "sample"]
_KINDS: Mapping[str, tuple[type, str]] = {
    "string": (str, "string"),
    "result": (list, "template.queryResult"),
    "sample": (Sample, "*template.sample"),
}


@dataclass(frozen=True)
class Function:
    """A function, and what can be said of a call before it is made.

    Attributes:
        call: Takes the arguments.
        takes: Their kinds.
        rest: Whether more `any` may follow.
        of_run: Whether `call` takes the run first.
        check: Raises ValueError where a constant first argument can only fail.
    """

    call: Callable[..., Any]
    takes: tuple[Kind, ...] = ()
    rest: bool = False
    of_run: bool = False
    check: Callable[[str], object] | None = None

    def __call__(self, run: Run, arguments: list[Any]) -> Any:
        """The value of a call with the right number of arguments.

        Raises:
            ExpansionError: If an argument is of the wrong kind, or there is no value.
        """
        for kind, argument in zip(self.takes, arguments, strict=False):
            _check_kind(kind, argument)
        return self.call(run, *arguments) if self.of_run else self.call(*arguments)


def _check_kind(kind: Kind, argument: Any) -> None:
    if kind == "any":
        return
    expected, name = _KINDS[kind]
    if not isinstance(argument, expected):
        raise ExpansionError(f"wrong type for value; expected {name}; got {type_name(argument)}")


def _query(run: Run, text: str) -> list[Sample]:
    if run.query is None:
        raise ExpansionError("query has no data here")
    return [Sample(dict(sample.labels), sample.value) for sample in run.query(text)]


def _external_url(run: Run) -> str:
    return run.data.external_url


def _path_prefix(run: Run) -> str:
    return urlsplit(run.data.external_url).path


def _first(result: list[Sample]) -> Sample:
    if not result:
        raise ExpansionError("first() called on vector with no elements")
    return result[0]


def _sorted_by_label(label: str, result: list[Sample]) -> list[Sample]:
    return sorted(result, key=lambda sample: sample.labels.get(label, ""))


def _parsed_duration(text: str) -> float:
    try:
        return durations.parse(text)
    except ValueError as error:
        raise ExpansionError(str(error)) from None


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, (list, Mapping)):
        return len(value)
    raise ExpansionError(f"len of type {type_name(value)}")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = _element(value, key)
    return value


def _element(value: Any, key: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(key, str):
        return value.get(key, None if isinstance(value, Arguments) else "")
    if isinstance(value, list) and type(key) is int:
        if 0 <= key < len(value):
            return value[key]
        raise ExpansionError(f"index out of range: {key}")
    raise ExpansionError(f"can't index item of type {type_name(value)}")


def _escaped(*values: Any) -> str:
    text = formatting.sprint(values).replace("\0", "\ufffd")
    return html.escape(text, quote=False).replace('"', "&#34;").replace("'", "&#39;")


def _link(tab: int) -> Callable[[str], str]:
    return lambda expr: f"/graph?g0.expr={texts.query_escape(expr)}&g0.tab={tab}"


def _arguments(*values: Any) -> Arguments:
    return Arguments({f"arg{index}": value for index, value in enumerate(values)})


_GO: Mapping[str, Function] = {
    "eq": Function(comparing.equal, ("any", "any"), rest=True),
    "ge": Function(comparing.greater_or_equal, ("any", "any")),
    "gt": Function(comparing.greater, ("any", "any")),
    "html": Function(_escaped, ("any",), rest=True),
    "index": Function(_index, ("any",), rest=True),
    "le": Function(comparing.less_or_equal, ("any", "any")),
    "len": Function(_length, ("any",)),
    "lt": Function(comparing.less, ("any", "any")),
    "ne": Function(comparing.not_equal, ("any", "any")),
    "not": Function(lambda value: not is_true(value), ("any",)),
    "print": Function(lambda *values: formatting.sprint(values), rest=True),
    "printf": Function(
        lambda text, *values: formatting.sprintf(text, values),
        ("string",),
        rest=True,
        check=formatting.check_format,
    ),
    "println": Function(lambda *values: formatting.sprintln(values), rest=True),
    "urlquery": Function(
        lambda *values: texts.query_escape(formatting.sprint(values)), ("any",), rest=True
    ),
}

_PROMETHEUS: Mapping[str, Function] = {
    "args": Function(_arguments, rest=True),
    "externalURL": Function(_external_url, of_run=True),
    "first": Function(_first, ("result",)),
    "graphLink": Function(_link(0), ("string",)),
    "humanize": Function(humanizing.humanize, ("any",)),
    "humanize1024": Function(humanizing.humanize1024, ("any",)),
    "humanizeDuration": Function(humanizing.humanize_duration, ("any",)),
    "humanizePercentage": Function(humanizing.humanize_percentage, ("any",)),
    "humanizeTimestamp": Function(humanizing.humanize_timestamp, ("any",)),
    "label": Function(lambda label, sample: sample.labels.get(label, ""), ("string", "sample")),
    "match": Function(regexes.matches, ("string", "string"), check=regexes.check),
    "parseDuration": Function(_parsed_duration, ("string",), check=durations.parse),
    "pathPrefix": Function(_path_prefix, of_run=True),
    "query": Function(_query, ("string",), of_run=True, check=regexes.check_query),
    "reReplaceAll": Function(
        regexes.replace_all, ("string", "string", "string"), check=regexes.check
    ),
    "safeHtml": Function(lambda text: text, ("string",)),
    "sortByLabel": Function(_sorted_by_label, ("string", "result")),
    "stripDomain": Function(hosts.strip_domain, ("string",)),
    "stripPort": Function(hosts.strip_port, ("string",)),
    "strvalue": Function(lambda sample: sample.labels.get("__value__", ""), ("sample",)),
    "tableLink": Function(_link(1), ("string",)),
    "title": Function(texts.title, ("string",)),
    "toLower": Function(texts.lower, ("string",)),
    "toUpper": Function(texts.upper, ("string",)),
    "value": Function(lambda sample: sample.value, ("sample",)),
}

FUNCTIONS: Mapping[str, Function] = {**_GO, **_PROMETHEUS}
"""By name; `and` and `or` are the parser's, as they do not evaluate all their arguments."""

NOT_IN: Mapping[str, str] = {
    "call": "nothing here can be called",
    "js": "write html, or urlquery",
    "nil": "leave it out",
    "slice": "write reReplaceAll",
    "tmpl": "it is of console templates",
    "toTime": "write humanizeTimestamp",
}
"""Functions that Prometheus has, and what to do instead."""
