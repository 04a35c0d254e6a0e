"""mypy and pyright know the type of everything public, and refuse wrong uses."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
TYPING = ROOT / "tests" / "typing"
IGNORES = re.compile(r"  # (?:type|pyright): ignore\[[^]]*\]")


def mypy(folder: Path, cache: Path) -> list[str]:
    """The errors of mypy --strict, as `file:line: error: ...`."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--warn-unused-ignores",
            "--no-error-summary",
            "--hide-error-context",
            "--show-error-codes",
            f"--config-file={ROOT / 'pyproject.toml'}",
            f"--cache-dir={cache}",
            *map(str, sorted(folder.glob("*.py"))),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    # geomon's own errors are `make check`'s business
    return [line for line in lines if ": error: " in line and not line.startswith("geomon/")]


def pyright(folder: Path) -> list[str]:
    """The errors of strict pyright."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pyright",
            "--outputjson",
            f"--pythonpath={sys.executable}",  # not the environment that the configuration names
            f"--project={folder}",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["summary"]["filesAnalyzed"] == len(list(folder.glob("*.py")))
    return [
        f"{Path(each['file']).name}:{each['range']['start']['line'] + 1}: {each['message']}"
        for each in found["generalDiagnostics"]
    ]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


@pytest.fixture(scope="module")
def without_ignores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder's wrong uses, with nothing that excuses them."""
    folder = tmp_path_factory.mktemp("typing")
    config = json.loads((TYPING / "pyrightconfig.json").read_text())
    config |= {"venvPath": str(ROOT), "extraPaths": [str(ROOT)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    (folder / "wrong.py").write_text(IGNORES.sub("", (TYPING / "wrong.py").read_text()))
    return folder


def excused_lines() -> set[int]:
    lines = (TYPING / "wrong.py").read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if IGNORES.search(line)}


def lines_of(errors: list[str]) -> set[int]:
    return {int(error.split("wrong.py:")[1].split(":")[0]) for error in errors}


def test_mypy_agrees_with_every_type(cache: Path) -> None:
    assert mypy(TYPING, cache) == []


def test_pyright_agrees_with_every_type() -> None:
    assert pyright(TYPING) == []


def test_mypy_refuses_every_wrong_use(without_ignores: Path, cache: Path) -> None:
    assert lines_of(mypy(without_ignores, cache)) == excused_lines()


def test_pyright_refuses_every_wrong_use(without_ignores: Path) -> None:
    assert lines_of(pyright(without_ignores)) == excused_lines()


def test_geomon_says_that_it_is_typed() -> None:
    assert (ROOT / "geomon" / "py.typed").is_file()


def test_both_type_checkers_are_there() -> None:
    assert [
        shutil.which(name, path=str(Path(sys.executable).parent)) is not None
        for name in ("mypy", "pyright")
    ] == [True, True]
