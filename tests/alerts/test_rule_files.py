"""Rule files, compared with what promtool takes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from geomon.alerts.rule import AlertRule, RecordingRule, RuleError, RuleGroup
from geomon.alerts.rule_files import load_rules
from geomon.alerts.yaml_nodes import MAX_BYTES
from tests.alerts import promtool

VALID = Path(__file__).with_name("rules_valid.txt").read_text().split("===\n")
VALUES = ["5m", "1.5h", "5", "-1", "~", "''", "x", "[]", "{}", "[a]", "{a: b}", "up{", "sum(up)"]
VALUES += [
    "'{{ $value }}'",
    "'{{ $value'",
    "'{{ foo }}'",
    "a b",
    "true",
    "1.5",
    "é",
    "up[5m:1m] > 0",
]
KEYS = ["name", "rules", "expr", "alert", "record", "for", "keep_firing_for", "labels", "limit"]
KEYS += ["annotations", "interval", "groups", "Expr", "severity", "a-b", "__name__", "9", "é", "<<"]


def faults(path: Path, text: str | bytes) -> list[tuple[int | None, str]]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        load_rules(path)
    except RuleError as error:
        return [(fault.line, fault.text) for fault in error.faults]
    return []


def mutated(text: str, chance: random.Random) -> str:
    lines = text.splitlines()
    at = chance.randrange(len(lines))
    line = lines[at]
    key, colon, value = line.partition(": ")
    indent = line[: len(line) - len(line.lstrip(" -"))]
    place = chance.randrange(len(line) + 1)
    lines[at : at + 1] = chance.choice(
        [
            [],
            [line, line],
            [f"{key}{colon or ': '}{chance.choice(VALUES)}"],
            [f"{key}{colon or ': '}{chance.choice(VALUES)}"],
            [f"{indent}{chance.choice(KEYS)}{colon or ': '}{value}"],
            [line, f"{' ' * len(indent)}{chance.choice(KEYS)}: {chance.choice(VALUES)}"],
            [line[:place] + line[place + 1 :]],
            [line[:place] + chance.choice("-: '\"{}[]#&*x5|\t") + line[place:]],
            ["  " + line],
        ]
    )
    return "\n".join(lines) + "\n"


# What promtool takes and we do not: it could only fail, or Prometheus misreads it.
STRICTER = (
    "Prometheus does not read aliases here",
    "gives a range of samples",
    "gives a text",
    "limit must be a whole number",
    "record must be a text",
    "alert must be a text",
    "has no field ''",
    "but found another document",
    "expected <document start>",
    "no YAML: second occurrence",  # of an anchor
    "takes 1 argument",
    "takes no arguments",
)
NEWER = "expr: 5m"  # a duration as a number, from Prometheus 3 on


@pytest.mark.parametrize("seed", range(2))
def test_a_file_is_taken_where_promtool_takes_it(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    texts = [mutated(chance.choice(VALID), chance) for _ in range(500)]
    texts = [
        mutated(text, chance) if chance.random() < 0.2 and text.strip() else text for text in texts
    ]
    ours = [faults(tmp_path / "rules.yml", text) for text in texts]
    theirs = promtool.accepted([text.encode() for text in texts])
    wrong = [
        (text, found)
        for text, found, taken in zip(texts, ours, theirs, strict=True)
        if bool(found) is taken
        and (found or NEWER not in text)
        and not any(reason in said for _, said in found for reason in STRICTER)
    ]
    assert 100 < sum(theirs) < 450
    assert wrong == []


def test_valid_files_are_read() -> None:
    assert promtool.accepted([text.encode() for text in VALID]) == [True] * len(VALID)


def test_a_file_becomes_groups_of_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(VALID[0])
    assert load_rules(path) == [
        RuleGroup(
            "one",
            [
                AlertRule(
                    "HighErrors",
                    "sum by (type) (rate(ai_errors_total[5m])) > 0.1",
                    for_="5m",
                    keep_firing_for=3600,
                    labels={"severity": "page", "team": "{{ $labels.type }}"},
                    annotations={
                        "summary": "{{ $value | humanizePercentage }} of {{ .Labels.type }} fail"
                    },
                ),
                RecordingRule(
                    "job:errors:rate5m",
                    'sum by (job) (\n  rate(errors_total{code=~"5.."}[5m])  # a comment\n)\n',
                    labels={"a": "b", "c": "5"},
                ),
            ],
            interval=90,
            limit=10,
            file=str(path),
        ),
        RuleGroup("two", [], file=str(path)),
    ]


def test_merged_keys_and_nothing_are_read_as_prometheus_does(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(VALID[1])
    (group,) = load_rules(path)
    notes = {"runbook": "http://x/{{ $labels.job }}"}
    assert list(group.rules) == [
        AlertRule("A", "up == 0", labels={"severity": "page"}, annotations=notes),
        AlertRule("B", "up == 0", labels={"severity": "page"}, annotations=notes),
        AlertRule("C", "1", labels={"severity": "page", "team": ""}),
    ]


def test_every_fault_is_said_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
groups:
  - name: g
    interval: 1.5h
    rulez: 5
    rules:
      - alert: X
        exp: up == 0
        for: five
        labels: {severity-x: page, a: "{{ .Foo }}", a: b}
        annotations:
          summary: ok
          description: "{{ $valu }}"
      - record: a-b
        expr: sum(up
        for: 5m
  - name: g
    rules: 5
    query_offset: 5m
  - rules: [{expr: up}, {alert: A, record: b, expr: up}, 5]
"""
    found = faults(tmp_path / "rules.yml", text)
    assert [line for line, _ in found] == [3, 4, 6, 7, 8, 9, 9, 9, 12, 13, 14, 15, 16, 17, 18] + [
        19
    ] * 4
    says = [
        'write whole numbers with units, largest first: "5m"',
        "a group has no field 'rulez': did you mean rules?",
        "expr is empty: write PromQL, such as up == 0",
        "a rule has no field 'exp': did you mean expr?",
        "for: 'five' is no duration",
        "'a' stands on line 9 already: write it once",
        "'severity-x' is no label name: write letters",
        "the label a: there is no .Foo: alerts have .Labels",
        "the annotation description: the variable $valu is not set",
        "'a-b' is no metric name: write letters",
        "expr: unclosed left parenthesis",
        "for is of alerts: a recording rule has none",
        "the group 'g' stands on line 2 already",
        "rules must be a list: write each with a - before it",
        "query_offset is known to Prometheus 3: leave it out",
        "write one of them, with a name",
        "write one of them, with a name",
        "a rule must be a mapping with record, alert",
        "the group has no name: write one",
    ]
    pairs = zip(says, [said for _, said in found], strict=True)
    assert [(text, said) for text, said in pairs if text not in said] == []


def test_the_faults_of_all_files_are_said(tmp_path: Path) -> None:
    for name in ("a.yml", "b.yml"):
        (tmp_path / name).write_text("groups: 5")
    with pytest.raises(RuleError, match=r"a\.yml:1: groups must be a list") as caught:
        load_rules([tmp_path / "*.yml", tmp_path / "none.yml", f"{tmp_path}/*.none"])
    assert sorted(map(str, caught.value.faults)) == [
        f"{tmp_path}/*.none:1: no file has such a name",
        f"{tmp_path}/a.yml:1: groups must be a list: write each with a - before it",
        f"{tmp_path}/b.yml:1: groups must be a list: write each with a - before it",
        f"{tmp_path}/none.yml:1: the file cannot be read: No such file or directory",
    ]


BOMB = "a: &a [x, x]\n" + "\n".join(
    f"{new}: &{new} [*{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}]"
    for old, new in zip("abcdefghijk", "bcdefghijkl", strict=True)
)
RULES_BOMB = (
    "groups:\n- &g\n  name: g\n  rules: &r\n"
    + "  - {alert: A, expr: up}\n" * 2000
    + "- {name: h, rules: *r}\n" * 2000
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "the file has no field"),
        (RULES_BOMB, "more than 10000 rules"),
        ("groups: &a [*a]", "a group must be a mapping"),
        ("groups:\n- &a {name: x, <<: *a}", "goes round"),
        ("groups: " + "[" * 900, "more than 50 levels"),
        ("groups: " + "{a: " * 900, "more than 50 levels"),
        ("- " * 100_000, "more than 50 levels"),
        ("groups: !!python/object/apply:os.system [id]", "tags are not read"),
        ("groups: [{name: !!binary aGk=, rules: []}]", "tags are not read"),
        (b"groups: \xff\xfe", "no YAML: "),
        (b"groups: a\x00b", "no YAML: "),
        (b"\xff", "no YAML: "),
        ("groups: 'open", "no YAML: "),
        ("groups: []\n---\ngroups: []\n", "no YAML: "),
        ("x" * (MAX_BYTES + 1), "split it"),
        ("groups: []\ngroups: []", "'groups' stands on line 1 already"),
        ("groups: [{name: x, limit: 1.5}]", "limit must be a whole number"),
        ("groups: [{name: x, limit: '5'}]", "limit must be a whole number"),
        ("groups: [{name: x, rules: [{alert: A, expr: &e up}, {alert: B, expr: *e}]}]", "aliases"),
        ("groups: [{name: x, rules: [{alert: A, expr: 'up[5m]'}]}]", "gives a range of samples"),
        ("[]", "the file must be a mapping with groups"),
    ],
)
def test_a_hostile_file_is_refused(text: str | bytes, says: str, tmp_path: Path) -> None:
    found = faults(tmp_path / "rules.yml", text)
    assert any(says in said for _, said in found), found[:5]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="the file cannot be read: Is a directory"):
        load_rules(tmp_path)


def test_the_line_of_a_fault_in_the_yaml_itself_is_said(tmp_path: Path) -> None:
    assert faults(tmp_path / "rules.yml", "groups:\n- name: x\n  rules: [\n")[0][0] == 4
