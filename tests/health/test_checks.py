"""Health checks: run once at a time, in time, and without a word of what they raised."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import geomon
from geomon import health
from geomon.health import Checks
from geomon.health.checking import Outcome
from geomon.testing import MovableClock
from tests.health.trees import Tree
from tests.programs import run, until


class Held:
    """A check that hangs until it is released."""

    def __init__(self) -> None:
        self.runs, self.ended = 0, 0
        self.begun, self.release = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.runs += 1
        self.begun.set()
        assert self.release.wait(30)
        self.ended += 1


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.release.set()
    until(lambda: held.ended == held.runs)


@pytest.fixture
def checks() -> Checks:
    return Checks()


def outcomes(checks: Checks, group: str | None = None) -> dict[str, Outcome]:
    return {result.terms.name: result.outcome for result in checks.begin(group).wait()}


def outcome(function: Any, **terms: Any) -> Outcome:
    checks = Checks()
    checks.check("c", function, **{"timeout": 30.0, **terms})
    return outcomes(checks)["c"]


async def outcome_async(checks: Checks) -> Outcome:
    (result,) = await checks.begin(None, asyncio.get_running_loop()).wait_async()
    return result.outcome


def raises(error: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


def coroutine(value: Any) -> Callable[[], Any]:
    async def function() -> Any:
        await asyncio.sleep(0)
        return value

    return function


VERDICTS = [
    (None, "ok", {}),
    (True, "ok", {}),
    ("PONG", "ok", {}),
    ({"lag": 3}, "ok", {"lag": 3}),
    ({}, "ok", {}),
    (False, "failing", {}),
    (0, "failing", {}),
    ([], "failing", {}),
    ((False, {"lag": 9}), "failing", {"lag": 9}),
    ((True, {"lag": 9}), "ok", {"lag": 9}),
    ((None, {"lag": 9}), "ok", {"lag": 9}),
]


@pytest.mark.parametrize("wrap", [lambda value: lambda: value, coroutine])
@pytest.mark.parametrize(("value", "status", "details"), VERDICTS)
def test_what_a_check_returns_is_its_verdict(
    wrap: Any, value: Any, status: str, details: dict[str, Any]
) -> None:
    found = outcome(wrap(value))
    assert (found.status, found.details) == (status, details)


class Untrue:
    def __bool__(self) -> bool:
        raise ValueError("neither")


@pytest.mark.parametrize(
    "function",
    [
        raises(ValueError("secret")),
        raises(SystemExit(3)),
        raises(KeyboardInterrupt()),
        raises(asyncio.CancelledError()),
        raises(TimeoutError("secret")),
        lambda: Untrue(),
        functools.partial(asyncio.sleep, "no number"),
    ],
)
def test_what_a_check_raises_is_an_error_without_its_text(function: Any) -> None:
    found = outcome(function)
    assert (found.status, found.details) == ("error", {})


@pytest.mark.parametrize("loop", ["private", "caller"])
@pytest.mark.parametrize("error", [ValueError("secret"), SystemExit(3), TimeoutError("secret")])
def test_what_an_async_check_raises_is_an_error_too(loop: Any, error: BaseException) -> None:
    checks = Checks()

    @checks.check("c", timeout=30.0, loop=loop)
    async def check() -> None:
        raise error

    assert asyncio.run(outcome_async(checks)).status == "error"


# --- registering


def test_the_decorated_function_is_unchanged() -> None:
    def database() -> bool:
        return True

    assert health.check("database", timeout=0.5)(database) is database
    assert health.check("database", database) is database
    assert health.CHECKS.names == ["database"]


def test_geomon_health_check_is_the_decorator() -> None:
    @geomon.health.check("database", timeout=0.5, group="ready", critical=True)
    async def database() -> None: ...

    assert asyncio.iscoroutinefunction(database)
    assert health.unregister("database")
    assert not health.unregister("database")


def test_the_same_name_replaces(checks: Checks, caplog: pytest.LogCaptureFixture) -> None:
    def first() -> bool:
        return False

    def second() -> bool:
        return True

    for function in (first, first, second):
        checks.check("c", function)
    assert outcomes(checks)["c"].ok
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "first is replaced by that of" in said[0]


def test_a_group_is_run_without_the_others(checks: Checks, held: Held) -> None:
    checks.check("a", lambda: True)
    checks.check("b", held, group="startup")
    assert (list(outcomes(checks, "ready")), held.runs) == (["a"], 0)


async def generator() -> Any:
    yield


WRONG: list[tuple[type[Exception], str, tuple[Any, ...], dict[str, Any]]] = [
    (TypeError, '@check\\("database"\\)', (lambda: True,), {}),
    (TypeError, '@check\\("database"\\)', (3,), {}),
    (ValueError, "1 to 100 characters", ("",), {}),
    (ValueError, "1 to 100 characters", ("x" * 101,), {}),
    (ValueError, "characters that UTF-8 has", ("\ud800x",), {}),
    (TypeError, "timeout=0.5", ("c",), {"timeout": "1"}),
    (TypeError, "timeout=0.5", ("c",), {"timeout": True}),
    (ValueError, "timeout=0.5", ("c",), {"timeout": 0}),
    (ValueError, "timeout=0.5", ("c",), {"timeout": float("nan")}),
    (ValueError, "timeout=0.5", ("c",), {"timeout": float("inf")}),
    (ValueError, "cache=0 for none", ("c",), {"cache": -1}),
    (TypeError, "critical=True", ("c",), {"critical": "yes"}),
    (TypeError, 'group="ready"', ("c",), {"group": None}),
    (ValueError, 'group="ready"', ("c",), {"group": "live"}),
    (ValueError, "characters that UTF-8 has", ("c",), {"group": "\udfff"}),
    (ValueError, 'loop="caller"', ("c",), {"loop": "own"}),
    (TypeError, "takes nothing", ("c", 3), {}),
    (TypeError, "takes nothing", ("c", Held), {}),
    (TypeError, "takes self, .*the_object.method", ("c", Held.__call__), {}),
    (TypeError, "takes x, ", ("c", lambda x: x), {}),
    (TypeError, "generator", ("c", generator), {}),
    (TypeError, "no async function", ("c", lambda: True), {"loop": "caller"}),
]


@pytest.mark.parametrize(("error", "text", "arguments", "terms"), WRONG)
def test_a_wrong_argument_is_an_error_that_says_what_to_write(
    checks: Checks, error: type[Exception], text: str, arguments: Any, terms: Any
) -> None:
    with pytest.raises(error, match=text):
        checks.check(*arguments, **terms)
    assert checks.names == []


# --- running


def test_a_check_that_hangs_is_timed_out_and_costs_one_thread(checks: Checks, held: Held) -> None:
    checks.check("c", held, timeout=0.05)
    found = [outcomes(checks)["c"].status for _ in range(5)]
    threads = [thread.name for thread in threading.enumerate()]
    assert (found, held.runs) == (["timed out"] * 5, 1)
    assert threads.count("geomon-check-c") == 1


def test_a_hundred_who_ask_at_once_share_one_run(checks: Checks, held: Held) -> None:
    checks.check("c", held, timeout=30)
    found: list[Outcome] = []
    askers = [
        threading.Thread(target=lambda: found.append(outcomes(checks)["c"])) for _ in "x" * 100
    ]
    for asker in askers:
        asker.start()
    assert held.begun.wait(20)
    held.release.set()
    for asker in askers:
        asker.join(20)
    assert ({o.status for o in found}, len(found), held.runs) == ({"ok"}, 100, 1)


@pytest.mark.parametrize("loop", ["private", "caller"])
def test_a_hundred_tasks_share_one_run_of_an_async_check(checks: Checks, loop: Any) -> None:
    runs = []

    @checks.check("c", timeout=30, loop=loop)
    async def check() -> None:
        runs.append(1)
        await asyncio.sleep(0.02)

    async def main() -> set[str]:
        return {o.status for o in await asyncio.gather(*[outcome_async(checks) for _ in "x" * 100])}

    assert (asyncio.run(main()), len(runs)) == ({"ok"}, 1)


def test_a_hanging_check_leaves_the_loop_to_others(checks: Checks, held: Held) -> None:
    checks.check("c", held, timeout=30)

    async def main() -> str:
        asking = asyncio.create_task(outcome_async(checks))
        while not held.begun.is_set():
            await asyncio.sleep(0)
        held.release.set()
        return (await asking).status

    assert asyncio.run(main()) == "ok"


def test_an_async_check_that_blocks_does_not_block_the_loop(checks: Checks, held: Held) -> None:
    @checks.check("c", timeout=0.05)
    async def check() -> None:
        held()

    assert asyncio.run(outcome_async(checks)).status == "timed out"


def test_all_checks_run_at_once(checks: Checks) -> None:
    barrier = threading.Barrier(3)
    for name in "abc":
        checks.check(name, lambda: barrier.wait(20) >= 0, timeout=30)
    assert {o.status for o in outcomes(checks).values()} == {"ok"}


@pytest.mark.parametrize("loop", ["private", "caller"])
def test_an_async_check_past_its_timeout_is_cancelled(checks: Checks, loop: Any) -> None:
    cancelled = threading.Event()

    @checks.check("c", timeout=0.02, loop=loop)
    async def check() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    assert asyncio.run(outcome_async(checks)).status == "timed out"
    assert cancelled.wait(20)


def test_an_outcome_serves_as_long_as_it_is_cached(checks: Checks, clock: MovableClock) -> None:
    runs: list[int] = []
    checks.check("c", lambda: runs.append(1), timeout=30, cache=5)
    counts = []
    for seconds in (0, 4.9, 0.2):
        clock.move(seconds)
        outcomes(checks)
        counts.append(len(runs))
    assert counts == [1, 1, 2]


def test_without_a_cache_each_question_is_a_run(checks: Checks) -> None:
    runs: list[int] = []
    checks.check("c", lambda: runs.append(1), timeout=30, cache=0)
    outcomes(checks)
    outcomes(checks)
    assert len(runs) == 2


def test_an_outcome_that_comes_too_late_is_none_and_the_next_run_counts(
    checks: Checks, held: Held, clock: MovableClock
) -> None:
    checks.check("c", held, timeout=0.05)
    late = outcomes(checks)["c"].status
    clock.move(1)
    held.release.set()
    until(lambda: not any(t.name == "geomon-check-c" for t in threading.enumerate()))
    cached = outcomes(checks)["c"].status
    clock.move(2)
    assert (late, cached, outcomes(checks)["c"].status) == ("timed out", "timed out", "ok")


def test_nothing_of_who_asks_reaches_a_check(checks: Checks) -> None:
    found: list[Any] = []

    def sync() -> None:
        found.append(geomon.get_context())

    async def on_a_loop() -> None:
        found.append(geomon.get_context())

    checks.check("a", sync)
    checks.check("b", on_a_loop)
    checks.check("c", on_a_loop, loop="caller")
    with geomon.bind(request_id="r-1"):

        async def main() -> None:
            await checks.begin(None, asyncio.get_running_loop()).wait_async()

        asyncio.run(main())
    assert found == [{}, {}, {}]


def test_a_check_on_the_callers_loop_uses_what_belongs_to_it(checks: Checks) -> None:
    async def main() -> str:
        lock, loop = asyncio.Lock(), asyncio.get_running_loop()

        async def pool() -> bool:
            async with lock:
                return asyncio.get_running_loop() is loop

        checks.check("c", pool, loop="caller", timeout=30)
        return (await outcome_async(checks)).status

    assert asyncio.run(main()) == "ok"


def test_a_check_for_the_callers_loop_runs_on_its_own_where_there_is_none() -> None:
    assert outcome(coroutine(True), loop="caller").ok


def test_the_log_says_what_to_write_where_another_loops_things_are_used(
    checks: Checks, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> str:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def wrong() -> None:
            await future

        checks.check("c", wrong, timeout=30)
        return (await outcome_async(checks)).status

    assert asyncio.run(main()) == "error"
    assert 'write check(..., loop="caller")' in caplog.text


def test_a_run_whose_loop_was_closed_is_not_waited_for(checks: Checks) -> None:
    runs: list[int] = []

    @checks.check("c", timeout=30, loop="caller")
    async def check() -> bool:
        runs.append(1)
        if len(runs) == 1:
            await asyncio.Event().wait()
        return True

    loop = asyncio.new_event_loop()
    asking = loop.create_task(outcome_async(checks))
    loop.run_until_complete(asyncio.sleep(0.01))
    asking.cancel()
    loop.run_until_complete(asyncio.gather(asking, return_exceptions=True))
    (stuck,) = asyncio.all_tasks(loop)
    stuck._log_destroy_pending = False  # type: ignore[attr-defined] # it is on purpose
    loop.close()
    assert asyncio.run(outcome_async(checks)).status == "ok"


def test_who_asks_and_leaves_does_not_cancel_the_run(checks: Checks) -> None:
    async def main() -> str:
        release = asyncio.Event()
        checks.check("c", release.wait, timeout=30, loop="caller")
        leaving, staying = (asyncio.create_task(outcome_async(checks)) for _ in "ab")
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        release.set()
        return (await staying).status

    assert asyncio.run(main()) == "ok"


def test_a_check_of_a_loop_can_be_waited_for_in_a_thread(checks: Checks) -> None:
    async def main() -> tuple[str, str]:
        release = asyncio.Event()
        checks.check("c", release.wait, timeout=30, loop="caller")
        mine = asyncio.create_task(outcome_async(checks))
        await asyncio.sleep(0)
        theirs = asyncio.create_task(asyncio.to_thread(lambda: outcomes(checks)["c"].status))
        await asyncio.sleep(0.01)
        release.set()
        return (await mine).status, await theirs

    assert asyncio.run(main()) == ("ok", "ok")


# --- the log


def test_what_a_check_raised_is_logged_once_until_it_changes(
    checks: Checks, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "geomon.health")
    answers: list[Any] = [ValueError("the reason"), ValueError("the reason"), True, False, True]

    def check() -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    checks.check("c", check, cache=0, timeout=30)
    for _ in range(5):
        outcomes(checks)
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("WARNING", "the health check 'c': error"),
        ("INFO", "the health check 'c' is ok again"),
        ("WARNING", "the health check 'c': failing"),
        ("INFO", "the health check 'c' is ok again"),
    ]
    assert "the reason" in caplog.text


# --- fork and exit


def test_a_forked_child_runs_a_check_that_hangs_in_its_parent(tree: Tree) -> None:
    code = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
    from geomon.health import Checks
    checks, parent = Checks(), os.getpid()
    checks.check("c", lambda: os.getpid() != parent or time.sleep(1000), timeout=0.05)
    def status(): return checks.begin().wait()[0].outcome.status
    print(status(), flush=True)
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        print(status(), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    """
    out = run(code, tree.root, stderr=None)
    assert out == "timed out\nok\n"


def test_a_process_ends_while_a_check_hangs(tree: Tree) -> None:
    code = """
    from geomon.health import Checks
    checks = Checks()
    checks.check("c", lambda: time.sleep(1000), timeout=0.01)
    print(checks.begin().wait()[0].outcome.status)
    """
    assert run(code, tree.root, stderr=None) == "timed out\n"
