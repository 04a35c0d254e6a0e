"""Requests go on while 100,000 series are scraped, and while health checks hang."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from tests.incoming.test_servers import Running, free_port, serving
from tests.web import crowded, hanging
from tests.web.crowded import ASKED, Scraped, Worked

REQUESTS = 300
INTERVAL = 0.02  # seconds between two requests
CALLS = 100
PATIENCE = 60  # seconds until an answer counts as missing
HANGING = """
import sys, uvicorn
from tests.web import hanging
hanging.register()
uvicorn.run(hanging.served, port=int(sys.argv[1]), log_level="warning")
"""


# --- a scrape of 100,000 series


class Load(NamedTuple):
    """What came of requests that went on while the metrics were scraped."""

    worked: list[Worked]
    scraped: list[Scraped]
    metrics: str
    """The metrics afterwards."""


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    with crowded.crowd(tmp_path_factory.mktemp("crowded")) as running:
        with crowded.scraping(running.url, *ASKED.values()) as scraped:
            worked = asyncio.run(crowded.pace(running.url, REQUESTS, INTERVAL))
        metrics = httpx.get(f"{running.url}/metrics", timeout=PATIENCE).text
    p50, p99, longest = (crowded.quantile(worked, q) for q in (0.5, 0.99, 1))
    print(
        f"\n{REQUESTS} requests beside {len(scraped)} scrapes of {crowded.SERIES:,} series: "
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {longest:.1f} ms"
    )
    return Load(worked, scraped, metrics)


def test_every_request_beside_a_scrape_is_answered(load: Load) -> None:
    answered = [(one.status, one.text) for one in load.worked]
    assert answered == [(200, str(number)) for number in range(REQUESTS)]


def test_every_request_beside_a_scrape_is_counted_once(load: Load) -> None:
    counted = [line for line in load.metrics.splitlines() if line.startswith("http_requests_total")]
    labels = 'endpoint="/jobs/{number}",method="GET",status="200"'
    # with the one that came at first
    assert counted == [f"http_requests_total{{{labels}}} {float(REQUESTS + 1)}"]


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_a_scrape_is_whole_while_requests_go_on(asked: dict[str, str], load: Load) -> None:
    answers = [one for one in load.scraped if one.asked == asked]
    assert answers
    expected = crowded.lines()
    for answer in answers:
        found = [line for line in unzipped(answer) if line.startswith("crowd{")]
        assert (answer.status, len(found), set(found) == expected) == (200, len(expected), True)


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_a_scrape_is_in_the_form_that_was_asked_for(asked: dict[str, str], load: Load) -> None:
    kind = "application/openmetrics-text" if "Accept" in asked else "text/plain"
    for answer in (one for one in load.scraped if one.asked == asked):
        assert answer.headers.get_content_type() == kind
        assert answer.headers["Content-Encoding"] == asked.get("Accept-Encoding")
        assert (unzipped(answer)[-1] == "# EOF") is ("Accept" in asked)


def unzipped(answer: Scraped) -> list[str]:
    zipped = answer.headers["Content-Encoding"] == "gzip"
    return (gzip.decompress(answer.body) if zipped else answer.body).decode().splitlines()


# --- a hundred calls of /health while checks hang


class Wave(NamedTuple):
    """What came of a hundred calls at once."""

    health: list[httpx.Response]
    state: dict[str, Any]
    """The program's own view, once all of them had reached it."""
    live: list[httpx.Response]
    """Asked for after that."""
    waiting: int
    """How many of the hundred still had no answer when the last of `live` had."""


class Hanging(NamedTuple):
    """Two waves, and how the program stood after them."""

    first: Wave
    second: Wave
    ready: httpx.Response
    state: dict[str, Any]


@pytest.fixture(scope="module")
def hung(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hanging]:
    port, log = free_port(), tmp_path_factory.mktemp("hanging") / "log"
    with serving(["-c", HANGING, str(port)], port, log) as running:
        yield asyncio.run(ask_twice(running))


async def ask_twice(running: Running) -> Hanging:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=running.url, timeout=PATIENCE, limits=limits) as client:
        first, second = await wave(client, CALLS), await wave(client, 2 * CALLS)
        ready = await client.get("/health/ready")
        return Hanging(first, second, ready, (await client.get("/state")).json())


async def wave(client: httpx.AsyncClient, arrived: int) -> Wave:
    """Asks for `/health` so often at once that `arrived` calls were made in all."""
    calls = [asyncio.ensure_future(client.get("/health")) for _ in range(CALLS)]
    state = {"asked": 0}
    while state["asked"] < arrived:
        state = (await client.get("/state")).json()
    live = [await client.get("/health/live") for _ in range(10)]
    waiting = sum(not call.done() for call in calls)
    return Wave(await asyncio.gather(*calls), state, live, waiting)


@pytest.mark.parametrize("check", hanging.HANGING)
def test_each_of_a_hundred_calls_hears_that_a_check_timed_out(check: str, hung: Hanging) -> None:
    answers = [*hung.first.health, *hung.second.health]
    told = [(one.status_code, one.json()["checks"][check]["status"]) for one in answers]
    assert told == [(200, "timed out")] * (2 * CALLS)


def test_a_check_beside_those_that_hang_is_heard(hung: Hanging) -> None:
    answers = [*hung.first.health, *hung.second.health]
    assert {one.json()["checks"]["well"]["status"] for one in answers} == {"ok"}


def test_health_is_degraded_and_readiness_503_while_checks_hang(hung: Hanging) -> None:
    assert {one.json()["status"] for one in hung.first.health} == {"degraded"}
    assert (hung.ready.status_code, hung.ready.json()["status"]) == (503, "not ready")


def test_liveness_answers_while_a_hundred_calls_wait(hung: Hanging) -> None:
    alive = [(one.status_code, one.json()) for one in hung.first.live]
    assert (alive, hung.first.waiting) == ([(200, {"status": "alive"})] * 10, CALLS)


@pytest.mark.parametrize("check", hanging.HANGING)
def test_a_check_that_hangs_is_under_way_once_however_many_ask(check: str, hung: Hanging) -> None:
    assert hung.state["most"][check] == 1


def test_a_sync_check_that_hangs_is_never_begun_again(hung: Hanging) -> None:
    assert (hung.state["begun"]["sync"], hung.state["under way"]["sync"]) == (1, 1)


def test_checks_that_hang_cost_one_thread_each(hung: Hanging) -> None:
    for state in (hung.first.state, hung.second.state, hung.state):
        threads = state["threads"]
        of_checks = [name for name in threads if name.startswith("geomon-check-")]
        assert set(of_checks) <= {"geomon-check-sync", "geomon-check-async", "geomon-check-well"}
        assert max(threads.values()) == 1
        assert sum(threads.values()) < 10
    assert hung.first.state["threads"]["geomon-check-sync"] == 1
