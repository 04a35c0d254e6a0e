"""The values of templates, and what Go calls their types.

Go's float64, int, string and bool are float, int, str and bool here; a query's result is a list of
`Sample`, and `None` is what Go shows as `<no value>`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from geomon.alerts.templates.errors import ExpansionError
from geomon.promql import Sample

FIELDS = {
    "Labels": "labels",
    "ExternalLabels": "external_labels",
    "ExternalURL": "external_url",
    "Value": "value",
}
"""What stands after the first `.`, and where `Data` has it."""


@dataclass(frozen=True)
class Data:
    """What `.` and `$` are at the start of a template."""

    labels: Mapping[str, str]
    external_labels: Mapping[str, str]
    external_url: str
    value: float


class Arguments(dict[str, Any]):
    """What `args` gives."""


def type_name(value: Any) -> str:
    """The Go type, as `%T` shows it."""
    for kind, name in _TYPES:
        if isinstance(value, kind):
            return name
    return "<nil>"


_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (int, "int"),
    (float, "float64"),
    (str, "string"),
    (Sample, "*template.sample"),
    (list, "template.queryResult"),
    (Arguments, "map[string]interface {}"),
    (Mapping, "map[string]string"),
    (
        Data,
        "struct { Labels map[string]string; ExternalLabels map[string]string; "
        "ExternalURL string; Value float64 }",
    ),
)


def is_true(value: Any) -> bool:
    """Whether `if` takes it for true: not zero, not empty."""
    return True if isinstance(value, (Sample, Data)) else bool(value)


def field(value: Any, name: str) -> Any:
    """`.name` of a value.

    Raises:
        ExpansionError: If it has no such field.
    """
    if isinstance(value, Mapping):
        return value.get(name, None if isinstance(value, Arguments) else "")
    if isinstance(value, Data) and name in FIELDS:
        return getattr(value, FIELDS[name])
    if isinstance(value, Sample) and name in ("Labels", "Value"):
        return value.labels if name == "Labels" else value.value
    raise ExpansionError(f"can't evaluate field {name} in type {type_name(value)}")


def items(value: Any) -> Iterator[tuple[Any, Any]]:
    """What `range` goes over: the elements with their index, or the keys in order.

    Raises:
        ExpansionError: If it cannot.
    """
    if isinstance(value, list) and not isinstance(value, Sample):
        return enumerate(value)
    if isinstance(value, Mapping):
        return iter(sorted(value.items()))
    if value is None:
        return iter(())
    raise ExpansionError(f"range can't iterate over a {type_name(value)}")
