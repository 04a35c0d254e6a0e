"""Prometheus's rule files: reading them, with everything that is wrong said at once."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from geomon.alerts.rule import RuleGroup
from geomon.alerts.rule_errors import Fault, RuleError
from geomon.alerts.rule_nodes import groups_of
from geomon.alerts.yaml_nodes import MAX_BYTES, NodeError, root

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def load_rules(path: Paths) -> list[RuleGroup]:
    """Reads rule files: what promtool takes, and Prometheus from 2.42 on.

    Not taken are, deliberately: templates and functions that rules never need, templates and
    expressions that could only fail, a second YAML document, which Prometheus overlooks, an alias
    as `alert`, `record` or `expr`, which Prometheus misreads, an anchor that is set twice, a limit
    that is no whole number, and tags. Expressions are Prometheus 3's: `5m` as a number is taken,
    which 2.42 refuses.

    Args:
        path: A file, a pattern such as `rules/*.yml`, or several of them.

    Raises:
        RuleError: A ValueError; its `faults` are everything that is wrong in all the files, each
            with file, line and what to write instead.
    """
    groups: list[RuleGroup] = []
    faults: list[Fault] = []
    for file in _files(path, faults):
        found, wrong = _read(file)
        groups += found
        faults += sorted(wrong, key=lambda fault: fault.line or 0)
    if faults:
        raise RuleError("these rules cannot be used", faults)
    return groups


def _files(path: Paths, faults: list[Fault]) -> list[str]:
    given = [path] if isinstance(path, (str, os.PathLike)) else path
    files: list[str] = []
    for pattern in [os.fspath(one) for one in given]:
        if os.path.exists(pattern) or not glob.has_magic(pattern):
            files.append(pattern)
        elif found := sorted(glob.glob(pattern)):
            files += found
        else:
            faults.append(Fault("no file has such a name", file=pattern))
    return list(dict.fromkeys(files))


def _read(file: str) -> tuple[list[RuleGroup], list[Fault]]:
    try:
        with Path(file).open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return [], [Fault(f"the file cannot be read: {reason}", file=file)]
    try:
        return groups_of(root(data), file)
    except NodeError as fault:
        return [], [Fault(str(fault), file=file, line=fault.line)]
