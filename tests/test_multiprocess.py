"""Several workers: their numbers add up in one scrape."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

Numbers = dict[str, dict[tuple[str, ...], float]]

SCRAPE = """
import sys
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
sys.stdout.write(generate_latest(registry).decode())
"""

WORK = """
import logging, geomon
logging.basicConfig(level="ERROR")
@geomon.track_ai("chat", model="m")
def work(error=None):
    geomon.record({"object": "chat.completion", "model": "m", "choices": [],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}})
    if error:
        raise error
def calls(number):
    for _ in range(number):
        work()
    try:
        work(TimeoutError())
    except TimeoutError:
        pass
    with geomon.track_request("GET", "/"):
        pass
"""

SUBPROCESS = WORK + "import sys; calls(int(sys.argv[1]))"

FORKED = (
    WORK
    + """
import os
calls(1)
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        calls(9)
        os._exit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
calls(1)
"""
)

HELD_OPEN = (
    WORK
    + """
import sys
from prometheus_client import multiprocess
with geomon.track_ai("chat", model="m"), geomon.track_request("GET", "/"):
    print("open", flush=True)
    sys.stdin.readline()
print("ended", flush=True)
sys.stdin.readline()
"""
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


def environment(directory: Path) -> dict[str, str]:
    return {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)}


def run(directory: Path, program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment(directory),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def scrape(directory: Path) -> Numbers:
    """The merged numbers, by sample name and label values in the order of their names."""
    numbers: Numbers = {}
    for family in text_string_to_metric_families(run(directory, SCRAPE)):
        for sample in family.samples:
            key = tuple(value for _, value in sorted(sample.labels.items()))
            numbers.setdefault(sample.name, {})[key] = sample.value
    return numbers


def expected(good: int, failed: int, requests: int) -> Numbers:
    calls = good + failed
    return {
        "ai_requests_total": {("m", "chat"): calls},
        "ai_request_duration_seconds_count": {("m", "chat"): calls},
        "ai_errors_total": {("timeout", "m", "chat"): failed},
        "error_rate_total": {("timeout",): failed},
        "ai_tokens_total": {
            ("m", "input", "chat"): 10 * calls,
            ("m", "output", "chat"): 5 * calls,
        },
        "ai_requests_in_progress": {("m", "chat"): 0},
        "http_requests_total": {("/", "GET", "200"): requests},
        "http_request_duration_seconds_count": {("/", "GET"): requests},
        "http_requests_in_progress": {("GET",): 0},
    }


def shown(directory: Path) -> Numbers:
    numbers = scrape(directory)
    return {name: numbers.get(name, {}) for name in expected(0, 0, 0)}


def test_the_numbers_of_workers_add_up(directory: Path) -> None:
    for number in ("3", "4", "5"):
        run(directory, SUBPROCESS, number)
    assert shown(directory) == expected(12, 3, 3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_numbers_of_forked_workers_add_up(directory: Path) -> None:
    run(directory, FORKED)
    assert shown(directory) == expected(1 + 3 * 9 + 1, 5, 5)


def test_calls_in_progress_are_the_sum_over_living_workers(directory: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", HELD_OPEN],
            env=environment(directory),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]

    def answers(worker: subprocess.Popen[str]) -> str:
        assert worker.stdout is not None
        return worker.stdout.readline().strip()

    def go_on(worker: subprocess.Popen[str]) -> None:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()

    def in_progress() -> list[float]:
        numbers = scrape(directory)
        return [
            numbers["ai_requests_in_progress"]["m", "chat"],
            numbers["http_requests_in_progress"]["GET",],
        ]

    try:
        assert [answers(worker) for worker in workers] == ["open"] * 3
        seen = [in_progress()]
        go_on(workers[0])
        answers(workers[0])
        seen.append(in_progress())
        workers[1].kill()
        workers[1].wait()
        mark = "import sys; from prometheus_client import multiprocess as m; "
        run(directory, mark + "m.mark_process_dead(int(sys.argv[1]))", str(workers[1].pid))
        seen.append(in_progress())
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    assert seen == [[3, 3], [2, 2], [1, 1]]


def test_the_rate_limit_is_that_of_the_worker_that_heard_last(directory: Path) -> None:
    program = (
        "import sys\n"
        "from geomon.call import Call\n"
        "from geomon.sinks.prometheus import PrometheusSink\n"
        "usual = dict.fromkeys(Call._fields) | dict(kind='ai', type='chat', model='m',\n"
        "    outcome='ok', duration=0.1, usage=(), attempts=(), context={}, attributes={},\n"
        "    finish_reasons=(), rate_limit_remaining={'tokens': float(sys.argv[1])})\n"
        "PrometheusSink()(Call(**usual))\n"
    )
    hold = program + "print('told', flush=True); sys.stdin.readline()"
    workers = []
    try:
        for ratio in ("0.5", "0.25"):
            worker = subprocess.Popen(
                [sys.executable, "-c", hold, ratio],
                env=environment(directory),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            workers.append(worker)
            assert worker.stdout is not None
            assert worker.stdout.readline() == "told\n"
        numbers = scrape(directory)
    finally:
        for worker in workers:
            worker.communicate("\n")
    assert numbers["ai_rate_limit_remaining_ratio"] == {("tokens", "m"): 0.25}
    assert len(numbers["geomon_build_info"]) == 1


def test_losses_add_up_and_are_shown_once_by_each_worker(directory: Path) -> None:
    program = (
        "import os, geomon\n"
        "from geomon import losses\n"
        "losses.count('part', 'reason', 2)\n"
        "geomon.configure(console=False)\n"
        "child = os.fork()\n"
        "geomon.configure(console=False)\n"
        "losses.count('part', 'reason', 5)\n"
        "if child: os.waitpid(child, 0)\n"
        "else: os._exit(0)"
    )
    run(directory, program)
    assert scrape(directory)["geomon_losses_total"] == {("part", "reason"): 2 + 5 + 5}


def test_without_the_directory_metrics_are_those_of_one_process(tmp_path: Path) -> None:
    program = SUBPROCESS + (
        "\nimport prometheus_client as p"
        "\nprint(p.REGISTRY.get_sample_value('ai_requests_total', {'type': 'chat', 'model': 'm'}))"
    )
    clean = {name: value for name, value in os.environ.items() if "PROM" not in name}
    out = subprocess.run(
        [sys.executable, "-c", program, "3"],
        env=clean,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (out.stdout, list(tmp_path.iterdir())) == ("4.0\n", [])
