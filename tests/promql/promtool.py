"""Values of expressions from the real `promtool test rules`.

promtool tells what a query gives where that is not what a test expects. So each query here expects
one sample that nothing gives, and what promtool says in its place is read.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.promql.answers import Answer

NOTHING = [{"labels": '{nothing="gives this"}', "value": 0}]
ANSWER = re.compile(
    r'^    expr: "(?:[^"\\]|\\.)*", time: \S+'
    r"(?:, err: (?P<error>.*)|,\n        exp: .*\n        got: (?P<got>.*))$",
    re.M,
)
SAMPLE = re.compile(r'\{((?:"(?:[^"\\]|\\.)*"|[^}"])*)\} (\S+?)(?:, |$)')
LABEL = re.compile(r'([^=\s,]+)=("(?:[^"\\]|\\.)*")')
PATIENCE = 120  # seconds that one run may take


@dataclass(frozen=True)
class Group:
    """Series as promtool reads them, one value each `step` seconds, and queries of them."""

    series: list[tuple[str, str]]
    step: int
    queries: list[tuple[str, int]]  # an expression and its time


def ask(promtool: str, groups: list[Group]) -> list[list[Answer]]:
    """Give promtool's answer to every query of every group, in one run of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "queries.yml")
        path.write_text(json.dumps({"evaluation_interval": "1s", "tests": _tests(groups)}))
        done = subprocess.run(
            [promtool, "test", "rules", str(path)],
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=PATIENCE,
        )
    answers = [_answer(found) for found in ANSWER.finditer(done.stdout + done.stderr)]
    counts = [len(group.queries) for group in groups]
    assert sum(counts) == len(answers), done.stdout[-2000:] + done.stderr[-2000:]
    each = iter(answers)
    return [[next(each) for _ in range(count)] for count in counts]


def _tests(groups: list[Group]) -> list[dict[str, object]]:
    return [
        {
            "interval": f"{group.step}s",
            "input_series": [{"series": name, "values": values} for name, values in group.series],
            "promql_expr_test": [
                {"expr": text, "eval_time": f"{at}s", "exp_samples": NOTHING}
                for text, at in group.queries
            ],
        }
        for group in groups
    ]


def _answer(found: re.Match[str]) -> Answer:
    if found["error"] is not None:
        return found["error"]
    if found["got"] == "nil":
        return []
    return [
        ({key: json.loads(value) for key, value in LABEL.findall(labels)}, float(value))
        for labels, value in SAMPLE.findall(found["got"])
    ]
