"""What the real promtool makes of rules, templates and series."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geomon.alerts.templates.literals import quoted
from tests.servers import require

PATIENCE = 60  # seconds that one run may take
TEXT = r'"(?:[^"\\]|\\.)*"'
GOT = re.compile(r"^        got:(?P<got>\[.*?^            \])", re.M | re.S)
ALERT = re.compile(
    r"^              Labels:(\{.*\})\s*\n              Annotations:(\{.*\}),?\s*$", re.M
)
PAIR = re.compile(rf"(\w+)=({TEXT})")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    promtool = require("promtool", package="prometheus")
    return subprocess.run([promtool, *arguments], capture_output=True, text=True, timeout=PATIENCE)


def accepts(data: bytes | str, *options: str) -> tuple[bool, str]:
    """Whether `promtool check rules` takes a file, and what it says."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rules.yml")
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        done = run("check", "rules", *options, str(path))
    return done.returncode == 0, done.stdout + done.stderr


def faults_of(rules: Sequence[Mapping[str, Any]]) -> str:
    """What `promtool check rules` says of rules."""
    return accepts(json.dumps({"groups": [{"name": "g", "rules": rules}]}))[1]


def expanded(
    templates: Sequence[str], series: Mapping[str, str], external: Mapping[str, str]
) -> list[tuple[dict[str, str], list[str]]]:
    """The labels of an alert for each series, and what every template gives for it."""
    notes = {f"t{index}": template for index, template in enumerate(templates)}
    rule = {"alert": "A", "expr": "x", "annotations": notes}
    test = {
        "interval": "1m",
        "external_labels": dict(external),
        "input_series": [{"series": name, "values": value} for name, value in series.items()],
        "alert_rule_test": [{"eval_time": "0m", "alertname": "A", "exp_alerts": [NOTHING]}],
    }
    found = []
    for labels, notes_shown in ALERT.findall(_got(test, [rule])):
        texts = _pairs(notes_shown)
        found.append((_pairs(labels), [texts[name] for name in notes]))
    return found


NOTHING = {"exp_labels": {"nothing": "gives this"}}


def _got(test: dict[str, Any], rules: list[dict[str, Any]]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        rule_file, path = Path(folder, "rules.yml"), Path(folder, "test.yml")
        rule_file.write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))
        path.write_text(
            json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]})
        )
        done = run("test", "rules", str(path))
    got = GOT.search(done.stdout + done.stderr)
    assert got is not None, done.stdout + done.stderr
    return got["got"]


def _pairs(shown: str) -> dict[str, str]:
    return {name: quoted(text) for name, text in PAIR.findall(shown)}


def accepted(files: Sequence[bytes]) -> list[bool]:
    """Of many files, whether `promtool check rules` takes them."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{index}.yml") for index in range(len(files))]
        for path, data in zip(paths, files, strict=True):
            path.write_bytes(data)
        done = run("check", "rules", "--lint=none", *map(str, paths))
    return [f"Checking {path}\n  SUCCESS" in done.stdout for path in paths]
