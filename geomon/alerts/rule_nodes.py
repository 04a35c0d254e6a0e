"""From a rule file's nodes to groups of rules."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TypeVar

import yaml

from geomon.alerts import durations, yaml_nodes
from geomon.alerts.rule import AlertRule, RecordingRule, RuleGroup
from geomon.alerts.rule_errors import Fault, RuleError

MAX_RULES = 10_000
"""In one file, those that aliases repeat counted each time."""

_GROUP = ("name", "interval", "limit", "rules")
_RULE = ("record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations")
_NEWER = {"query_offset": "3", "partial_response_strategy": "no version, but Thanos"}

Fields = Mapping[str, yaml.Node]
_Made = TypeVar("_Made")


def groups_of(node: yaml.Node | None, file: str) -> tuple[list[RuleGroup], list[Fault]]:
    """The groups of a file, and its faults: the groups are good where there are none."""
    reader = _Reader(file)
    if node is None or yaml_nodes.is_null(node):
        return [], []
    return reader.groups(node), reader.faults


class _Reader:
    def __init__(self, file: str) -> None:
        self.faults: list[Fault] = []
        self._file = file
        self._rules = 0

    def groups(self, node: yaml.Node) -> list[RuleGroup]:
        fields = self._fields(node, ("groups",), "the file")
        groups: list[RuleGroup] = []
        lines: dict[str, int] = {}
        for item in self._items(fields, "groups"):
            group = self._group(item, lines)
            groups += [group] if group else []
        return groups

    def _group(self, node: yaml.Node, lines: dict[str, int]) -> RuleGroup | None:
        fields = self._fields(node, _GROUP, "a group")
        if not isinstance(node, yaml.MappingNode):
            return None
        name = self._text(fields, "name")
        if name and name in lines:
            self._fault(node, f"the group {name!r} stands on line {lines[name]} already")
        lines.setdefault(name, yaml_nodes.line_of(node))
        interval, limit = self._duration(fields, "interval"), self._limit(fields)
        rules = [self._rule(item) for item in self._items(fields, "rules")]
        found = [rule for rule in rules if rule is not None]
        return self._made(
            node, fields, partial(RuleGroup, name, found, interval, limit, self._file)
        )

    def _rule(self, node: yaml.Node) -> AlertRule | RecordingRule | None:
        self._rules += 1
        if self._rules > MAX_RULES:
            if self._rules == MAX_RULES + 1:
                self._fault(node, f"the file has more than {MAX_RULES} rules: split it")
            return None
        fields = self._fields(node, _RULE, "a rule")
        if not isinstance(node, yaml.MappingNode):
            return None
        names = [name for name in ("record", "alert") if self._text(fields, name)]
        if len(names) != 1:
            self._fault(node, "a rule has either alert or record: write one of them, with a name")
            return None
        return self._alert(node, fields) if names == ["alert"] else self._record(node, fields)

    def _alert(self, node: yaml.Node, fields: Fields) -> AlertRule | None:
        make = partial(
            AlertRule,
            self._text(fields, "alert"),
            self._text(fields, "expr"),
            self._duration(fields, "for"),
            self._duration(fields, "keep_firing_for"),
            self._texts(fields, "labels"),
            self._texts(fields, "annotations"),
        )
        return self._made(node, fields, make)

    def _record(self, node: yaml.Node, fields: Fields) -> RecordingRule | None:
        given = {
            "for": self._duration(fields, "for"),
            "keep_firing_for": self._duration(fields, "keep_firing_for"),
            "annotations": self._texts(fields, "annotations"),
        }
        for name, value in given.items():
            if value:
                self._fault(fields[name], f"{name} is of alerts: a recording rule has none")
        make = partial(
            RecordingRule,
            self._text(fields, "record"),
            self._text(fields, "expr"),
            self._texts(fields, "labels"),
        )
        return self._made(node, fields, make)

    def _made(self, node: yaml.Node, fields: Fields, make: Callable[[], _Made]) -> _Made | None:
        """A rule or a group, if its values can be."""
        try:
            return make()
        except RuleError as error:
            for fault in error.faults:
                self._fault(_place(node, fields, fault.field), fault.text)
            return None

    # --- values

    def _fault(self, node: yaml.Node, text: str) -> None:
        self.faults.append(Fault(text, file=self._file, line=yaml_nodes.line_of(node)))

    def _fields(self, node: yaml.Node, known: Collection[str], what: str) -> Fields:
        """A mapping's fields by name, unknown ones said."""
        if not isinstance(node, yaml.MappingNode):
            self._fault(node, f"{what} must be a mapping with {', '.join(known)}")
            return {}
        fields: dict[str, yaml.Node] = {}
        for key, name, value in self._pairs(node):
            if name not in known:
                self._fault(key, _unknown(name, known, what))
            elif name in ("alert", "record", "expr") and _is_alias(key, value):
                self._fault(key, f"{name}: Prometheus does not read aliases here: write it out")
            else:
                fields[name] = value
        return fields

    def _pairs(self, node: yaml.MappingNode) -> list[tuple[yaml.Node, str, yaml.Node]]:
        found, faults = yaml_nodes.pairs(node)
        self.faults += [Fault(str(fault), file=self._file, line=fault.line) for fault in faults]
        return [(key, yaml_nodes.scalar(key) or "", value) for key, value in found]

    def _items(self, fields: Fields, name: str) -> list[yaml.Node]:
        node = fields.get(name)
        if node is None or yaml_nodes.is_null(node):
            return []
        if not isinstance(node, yaml.SequenceNode):
            self._fault(node, f"{name} must be a list: write each with a - before it")
            return []
        return list(node.value)

    def _text(self, fields: Fields, name: str) -> str:
        node = fields.get(name)
        if node is None or (name == "name" and yaml_nodes.is_null(node)):
            return ""
        text = yaml_nodes.scalar(node)
        if text is None:
            self._fault(node, f"{name} must be a text")
        return text or ""

    def _texts(self, fields: Fields, name: str) -> dict[str, str]:
        node = fields.get(name)
        if node is None or yaml_nodes.is_null(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            self._fault(node, f"{name} must be a mapping of texts, such as {{severity: page}}")
            return {}
        texts: dict[str, str] = {}
        for _, key, value in self._pairs(node):
            text = "" if yaml_nodes.is_null(value) else yaml_nodes.scalar(value)
            if text is None:
                self._fault(value, f"{name}: {key[:100]} must be a text")
            else:
                texts[key] = text
        return texts

    def _duration(self, fields: Fields, name: str) -> float:
        node = fields.get(name)
        if node is None or yaml_nodes.is_null(node):
            return 0.0
        try:
            return durations.parse(yaml_nodes.scalar(node) or "")
        except ValueError as error:
            self._fault(node, f"{name}: {error}")
            return 0.0

    def _limit(self, fields: Fields) -> int:
        node = fields.get("limit")
        if node is None or yaml_nodes.is_null(node):
            return 0
        text = yaml_nodes.scalar(node) or ""
        if not yaml_nodes.is_number(node) or not text.lstrip("+-").isdecimal() or len(text) > 18:
            self._fault(node, "limit must be a whole number; 0 is no limit")
            return 0
        return max(int(text), 0)


def _place(node: yaml.Node, fields: Fields, field: str) -> yaml.Node:
    """The node that a field of a rule or group was read from."""
    first, _, rest = field.partition(".")
    if first == "name":
        return fields.get("alert", fields.get("name", node))
    found = fields.get(first.rstrip("_"), node)
    if rest and isinstance(found, yaml.MappingNode):
        for key, _ in yaml_nodes.pairs(found)[0]:
            if yaml_nodes.scalar(key) == rest:
                return key
    return found


def _unknown(name: str, known: Collection[str], what: str) -> str:
    if name in _NEWER and "rules" in known:
        return f"{name} is known to Prometheus {_NEWER[name]}: leave it out"
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"write one of {', '.join(known)}"
    return f"{what} has no field {name[:100]!r}: {hint}"


def _is_alias(key: yaml.Node, value: yaml.Node) -> bool:
    return bool(value.start_mark.index < key.start_mark.index)
