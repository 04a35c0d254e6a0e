"""Importing geomon is cheap and does nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

OPTIONAL = [
    "aiohttp",
    "anthropic",
    "genai_prices",
    "httpx",
    "openai",
    "opentelemetry",
    "orjson",
    "prometheus_client",
    "psutil",
    "pydantic",
    "pytest",
    "requests",
    "rich",
]


def run(program: str, cwd: Path | None = None, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_importing_geomon_imports_no_optional_dependency() -> None:
    program = f"import sys, geomon; print(sorted({{*{OPTIONAL}}} & {{*sys.modules}}))"
    assert run(program) == "[]"


def test_a_call_without_configure_imports_nothing_but_prometheus_client() -> None:
    program = (
        "import sys, geomon\n"
        "with geomon.track_ai('chat') as call: call.set(model='m')\n"
        f"print(sorted({{*{OPTIONAL}}} & {{*sys.modules}}))"
    )
    assert run(program) == "['prometheus_client']"


def test_prices_are_imported_with_the_first_cost() -> None:
    program = (
        "import sys, geomon, prometheus_client\n"
        "geomon.configure(console=False)\n"
        "before = 'genai_prices' in sys.modules\n"
        "response = {'object': 'chat.completion', 'model': 'gpt-4o', 'choices': [],\n"
        "    'usage': {'prompt_tokens': 1, 'completion_tokens': 1, 'total_tokens': 2}}\n"
        "with geomon.track_ai('chat') as call: call.record(response)\n"
        "print(before, 'genai_prices' in sys.modules)"
    )
    assert run(program) == "False True"


def test_geomon_starts_no_thread_but_the_one_that_configure_watches_with() -> None:
    program = (
        "import threading, geomon, geomon.testing\n"
        "def names(): return [thread.name for thread in threading.enumerate()][1:]\n"
        "found = [names()]\n"
        "with geomon.track_ai('chat'): found.append(names())\n"
        "handle = geomon.configure(console=False); found.append(names())\n"
        "with geomon.track_ai('chat'): found.append(names())\n"
        "handle.close(); found.append(names())\n"
        "print(found)"
    )
    assert run(program) == "[[], [], ['geomon-alerts'], ['geomon-alerts'], []]"


def test_geomon_writes_no_file(tmp_path: Path) -> None:
    program = (
        "import geomon\n"
        "geomon.configure(console=False)\n"
        "with geomon.track_ai('chat'), geomon.track_request('GET', '/'): pass"
    )
    run(program, cwd=tmp_path, HOME=str(tmp_path), TMPDIR=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_geomon_adds_no_handler_that_writes_to_logging() -> None:
    program = (
        "import logging, geomon\n"
        "geomon.configure(console=False)\n"
        "with geomon.track_ai('chat'): pass\n"
        "names = ('', 'geomon', 'geomon.ai', 'geomon.http')\n"
        "loggers = [logging.getLogger(name) for name in names]\n"
        "handlers = [[type(handler).__name__ for handler in one.handlers] for one in loggers]\n"
        "print(handlers, [one.level for one in loggers])"
    )
    assert run(program) == "[[], [], ['NullHandler'], ['NullHandler']] [30, 0, 0, 0]"


def test_every_public_name_is_there() -> None:
    program = "import geomon; print([name for name in geomon.__all__ if not hasattr(geomon, name)])"
    assert run(program) == "[]"


@pytest.mark.parametrize("missing", ["genai_prices", "openai", "anthropic"])
def test_a_program_without_an_optional_dependency_runs(missing: str) -> None:
    program = (
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "import geomon\n"
        "from geomon import losses\n"
        "response = {'object': 'chat.completion', 'model': 'gpt-4o', 'choices': [],\n"
        "    'usage': {'prompt_tokens': 1, 'completion_tokens': 1, 'total_tokens': 2}}\n"
        "with geomon.configure(console=False) as handle:\n"
        "    with geomon.track_ai('chat') as call: call.record(response)\n"
        "    print(handle.recent[0].tokens, losses.counts())"
    )
    assert run(program) == "2 {}"


def test_the_interpreter_ends_cleanly_with_calls_still_open() -> None:
    program = (
        "import geomon, logging\n"
        "logging.basicConfig(level='ERROR')\n"
        "@geomon.track_ai\n"
        "def words():\n"
        "    yield 'a'\n"
        "    yield 'b'\n"
        "stream = words()\n"
        "next(stream)\n"
        "call = geomon.track_ai('chat').__enter__()\n"
        "print('done')"
    )
    assert run(program) == "done"
