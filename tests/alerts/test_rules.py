from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomon.alerts.rule import AlertRule, RecordingRule, RuleError, RuleGroup
from geomon.alerts.rule_files import load_rules
from geomon.alerts.rule_writing import dump_rules
from tests.alerts import promtool


def test_durations_are_seconds_once_a_rule_is_made() -> None:
    rule = AlertRule("A", "up == 0", for_="5m", keep_firing_for=90)
    assert (rule.for_, rule.keep_firing_for) == (300.0, 90.0)
    assert isinstance(rule.keep_firing_for, float)
    assert RuleGroup("g", [], interval="1m").interval == 60.0
    assert RuleGroup("g", [], interval=0).interval is None


def test_a_rule_keeps_its_own_labels() -> None:
    labels = {"a": "b"}
    rule = AlertRule("A", "up", labels=labels)
    labels["a"] = "c"
    assert rule.labels == {"a": "b"}


def test_every_fault_of_a_rule_is_said_at_once() -> None:
    with pytest.raises(RuleError) as caught:
        AlertRule(
            "",
            "sum(up",
            for_="1.5h",
            keep_firing_for=-1,
            labels={"a-b": "{{ foo }}", "__name__": "x", "c": "\ud800"},
            annotations={"summary": "{{ $value"},
        )
    assert [fault.field for fault in caught.value.faults] == [
        "name",
        "expr",
        "for_",
        "keep_firing_for",
        "labels.a-b",
        "labels.a-b",
        "labels.__name__",
        "labels.c",
        "annotations.summary",
    ]
    assert "the rule '' is wrong:" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: AlertRule("A", ""), "expr is empty: write PromQL"),
        (lambda: AlertRule("A", "up["), "expr: .*; it is: up"),
        (lambda: AlertRule("A", "up[5m]"), r"a range of samples: write rate\(…\)"),
        (lambda: AlertRule("A", "'x'"), "a text; a rule needs a vector or a number"),
        (lambda: RecordingRule("a-b", "up"), "no metric name: write letters, digits, _ and :"),
        (lambda: RecordingRule("a", "up", labels={"é": "x"}), "no label name"),
        (lambda: RuleGroup("", []), "the group has no name: write one"),
        (lambda: RuleGroup("g", [], limit=-1), "write a whole number from 0 up"),
        (lambda: RuleGroup("g", [], interval="x"), "interval: 'x' is no duration"),
    ],
)
def test_a_wrong_rule_says_what_to_write(make: Any, says: str) -> None:
    with pytest.raises(RuleError, match=says):
        make()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: AlertRule(None, "up"), r"AlertRule\(name=None\): write a str"),
        (lambda: AlertRule("A", 5), r"AlertRule\(expr=5\): write a str"),
        (lambda: AlertRule("A", "up", for_=None), "for_=None: write seconds"),
        (lambda: AlertRule("A", "up", labels={"a": 5}), "write a dict of texts"),
        (lambda: AlertRule("A", "up", annotations="x"), "write a dict of texts"),
        (lambda: RuleGroup("g", [5]), "write a list of AlertRule and RecordingRule"),
    ],
)
def test_something_of_the_wrong_type_is_a_type_error(make: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        make()


def test_the_labels_of_a_recording_rule_are_no_templates() -> None:
    assert RecordingRule("a", "up", labels={"b": "{{ foo"}).labels == {"b": "{{ foo"}


NAMES = st.from_regex("[a-zA-Z_][a-zA-Z0-9_]{0,5}", fullmatch=True).filter("__name__".__ne__)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = TEXTS.filter(lambda text: "{{" not in text)
DURATIONS = st.integers(0, 10**8).map(lambda milliseconds: milliseconds / 1000)
EXPRS = st.sampled_from(["up == 0", 'x{a="é\\"\\\\"} > 1', "sum(x)\n  > 5 # comment\n", "1"])
RULES = st.one_of(
    st.builds(
        AlertRule,
        TEXTS.filter(bool),
        EXPRS,
        DURATIONS,
        DURATIONS,
        st.dictionaries(NAMES, PLAIN, max_size=3),
        st.dictionaries(NAMES, PLAIN, max_size=3),
    ),
    st.builds(RecordingRule, NAMES, EXPRS, st.dictionaries(NAMES, TEXTS, max_size=3)),
)


def test_rules_that_are_written_are_read_as_the_same(tmp_path: Path) -> None:
    files = []

    @given(st.lists(RULES, min_size=1, max_size=4), st.integers(0, 5), st.none() | DURATIONS)
    def written(rules: list[Any], limit: int, interval: float | None) -> None:
        path = tmp_path / "rules.yml"
        group = RuleGroup("g é", rules, interval, limit, str(path))
        files.append(dump_rules([group]).encode())
        path.write_bytes(files[-1])
        assert load_rules(path) == [group]

    written()
    assert promtool.accepted(files) == [True] * len(files)


def test_rules_without_a_group_are_written_as_one() -> None:
    text = dump_rules([AlertRule("A", "up\n== 0", for_=90), RecordingRule("a:b", "sum(up)")])
    assert text == (
        "groups:\n"
        "  - name: geomon\n"
        "    rules:\n"
        "      - alert: A\n"
        "        expr: |-\n"
        "          up\n"
        "          == 0\n"
        "        for: 1m30s\n"
        "      - record: a:b\n"
        "        expr: sum(up)\n"
    )


def test_two_groups_of_one_name_are_not_written() -> None:
    with pytest.raises(ValueError, match="two groups are named 'g'"):
        dump_rules([RuleGroup("g", []), RuleGroup("g", [])])
