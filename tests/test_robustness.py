"""geomon never breaks the program: bad input, bad sinks, bad responses, and being turned off."""

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

import geomon
from geomon import dispatch, losses, track_ai, track_request
from geomon.testing import contained_failures


def outcomes(calls: list[geomon.Call]) -> list[tuple[str | None, str]]:
    return [(call.type, call.outcome) for call in calls]


def with_sinks(*sinks: Callable[..., Any]) -> None:
    """Adds sinks behind the capturing one, whose fixture restores the earlier set-up."""
    dispatch.install(dispatch.current().with_sinks(*sinks))


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


# --- wrong arguments


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (lambda: track_ai(5), "decorates a function"),
        (lambda: track_ai(""), 'track_ai("summarize")'),
        (lambda: track_ai("x", model=5), 'model="gpt-4o"'),
        (lambda: track_ai("x", model=""), 'model="gpt-4o"'),
        (lambda: track_ai("x", provider=b"openai"), 'provider="openai"'),
        (lambda: track_ai("x", merge="no"), "merge=True or merge=False"),
        (lambda: track_ai("x")(5), "decorates a function"),
        (lambda: track_ai("x")(None), "decorates a function"),
        (lambda: track_ai("x")("text"), "decorates a function"),
        (lambda: track_ai("x")(int), "decorates a function"),
        (lambda: track_ai(int), "decorates a function"),
        (lambda: track_ai("x")(property(len)), "decorates a function"),
        (lambda: track_request(len), '@track_request("GET", "/items/{id}")'),
        (lambda: track_request(5, "/x"), 'track_request("GET", "/items")'),
        (lambda: track_request("GET", None), 'track_request("GET", "/items")'),
        (lambda: track_request("GET", ""), 'track_request("GET", "/items")'),
    ],
)
def test_a_wrong_argument_is_a_type_error_that_says_what_to_write(use, text):
    with pytest.raises(TypeError) as raised:
        use()
    assert text in str(raised.value)


def test_a_bare_track_request_is_a_type_error_that_says_what_to_write():
    with pytest.raises(TypeError) as raised:

        @track_request
        def view(): ...

    assert '@track_request("GET", "/items/{id}"), not @track_request' in str(raised.value)


# --- sinks


def failing_sink(call: geomon.Call) -> None:
    raise RuntimeError("sink")


def test_a_sink_that_raises_leaves_the_result_alone(calls):
    with_sinks(failing_sink)
    with contained_failures():
        assert track_ai("x")(lambda: 5)() == 5
    assert outcomes(calls) == [("x", "ok")]


def test_a_sink_that_raises_leaves_the_exception_alone(calls):
    error = ValueError("v")

    @track_ai("x")
    def fail():
        raise error

    with_sinks(failing_sink)
    with contained_failures(), pytest.raises(ValueError, match="v") as raised:
        fail()
    assert (raised.value, raised.value.__context__) == (error, None)


def test_a_sink_that_raises_keeps_no_other_sink_from_the_call(calls):
    later = []
    with_sinks(failing_sink, later.append)
    with contained_failures(), track_ai("x"):
        pass
    assert outcomes(later) == [("x", "ok")]


def test_a_sink_that_raises_is_a_counted_loss(calls):
    before = losses.counts().get(("sink", "failed"), 0)
    with_sinks(failing_sink)
    with contained_failures():
        for _ in range(3):
            with track_ai("x"):
                pass
    assert losses.counts()[("sink", "failed")] - before == 3


def test_a_sink_that_raises_raises_under_the_testing_kit(calls):
    with_sinks(failing_sink)
    with pytest.raises(RuntimeError, match="sink"), track_ai("x"):
        pass


def test_a_sink_whose_start_fails_leaves_the_call_alone(calls):
    class Sink:
        def started(self, active):
            raise RuntimeError

        def __call__(self, call): ...

    with_sinks(Sink())
    with contained_failures(), track_ai("x"):
        pass
    assert outcomes(calls) == [("x", "ok")]


@track_ai("the sink's own")
def tracked_by_sink() -> int:
    return 1


def tracking_sink(call: geomon.Call) -> None:
    tracked_by_sink()
    with track_ai("the sink's own block"):
        pass
    list(track_ai("the sink's own stream")(lambda: iter([1]))())


def plain() -> None:
    track_ai("x")(lambda: 5)()


def block() -> None:
    with track_ai("x"):
        pass


def failing() -> None:
    with pytest.raises(ValueError, match="'v'"):
        track_ai("x")(lambda: int("v"))()


def stream_read() -> None:
    list(track_ai("x")(lambda: iter([1]))())


def generator() -> Any:
    @track_ai("x")
    def numbers():
        yield 1
        yield 2

    stream = numbers()
    next(stream)
    return stream


def stream_closed() -> None:
    generator().close()


def stream_dropped() -> None:
    generator()
    gc.collect()


def coroutine() -> None:
    async def work():
        await asyncio.sleep(0)

    asyncio.run(track_ai("x")(work)())


def returned_coroutine() -> None:
    async def work():
        await asyncio.sleep(0)

    async def main():
        await track_ai("x")(lambda: work())()

    asyncio.run(main())


def returned_task() -> None:
    async def main():
        await track_ai("x")(lambda: asyncio.create_task(asyncio.sleep(0)))()

    asyncio.run(main())


@pytest.mark.parametrize(
    "ending",
    [
        plain,
        block,
        failing,
        stream_read,
        stream_closed,
        stream_dropped,
        coroutine,
        returned_coroutine,
        returned_task,
    ],
)
def test_what_a_sink_calls_is_not_tracked_itself(calls, ending):
    with_sinks(tracking_sink)
    ending()
    assert [call.type for call in calls] == ["x"]


def test_what_another_thread_calls_while_a_sink_works_is_tracked(calls):
    def sink(call):
        if call.type == "x":
            thread = threading.Thread(target=tracked_by_sink)
            thread.start()
            thread.join()

    with_sinks(sink)
    block()
    assert [call.type for call in calls] == ["x", "the sink's own"]


def test_after_a_sink_has_tracked_calls_are_tracked_again(calls):
    with_sinks(tracking_sink)
    with track_ai("outer"):
        block()
        assert geomon.current_call().type == "outer"
    assert [call.type for call in calls] == ["x", "outer"]


# --- responses


class Hostile:
    """Every attribute raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class HostileStream(Hostile):
    def __init__(self) -> None:
        self.__dict__["items"] = iter([1, 2])

    def __iter__(self):
        return self

    def __next__(self):
        for item in self.__dict__["items"]:
            return item
        raise KeyError("mine")


def test_a_response_whose_attributes_raise_is_given_back_itself(calls):
    response = Hostile()
    assert track_ai("x")(lambda: response)() is response
    assert outcomes(calls) == [("x", "ok")]


def test_recording_a_response_whose_attributes_raise_does_nothing(calls):
    with track_ai("x") as call:
        call.record(Hostile())
    assert [call.usage for call in calls] == [()]


class ChatCompletion(Hostile):
    """Named as OpenAI's, so that it is read."""

    __module__ = "openai.types.chat.chat_completion"


def test_a_client_s_response_whose_attributes_raise_is_given_back_itself(calls):
    response = ChatCompletion()
    assert track_ai("x")(lambda: response)() is response
    assert [(call.outcome, call.usage) for call in calls] == [("ok", ())]


def test_a_stream_whose_attributes_raise_is_read_as_undecorated(calls):
    stream = track_ai("x")(lambda: HostileStream())()
    got = [next(stream), next(stream)]
    with pytest.raises(KeyError, match="mine"):
        next(stream)
    assert got == [1, 2]
    assert outcomes(calls) == [("x", "error")]


def test_an_awaited_stream_whose_attributes_raise_is_read_as_undecorated(calls):
    async def request():
        return HostileStream()

    async def main():
        return next(await track_ai("x")(lambda: request())())

    assert asyncio.run(main()) == 1


@pytest.mark.parametrize("count", [-1, 10**30, 1.5, "many", True, None, [], float("nan")])
def test_an_absurd_count_is_unknown(calls, count):
    answer = {
        "object": "chat.completion",
        "model": "m",
        "choices": [],
        "usage": {"prompt_tokens": count, "completion_tokens": 5},
    }
    with track_ai("x") as call:
        call.record(answer)
    assert [(used.input, used.output) for call in calls for used in call.usage] == [(None, 5)]


@pytest.mark.parametrize(
    "model", [5, ["list"], {"a": 1}, b"bytes", 1.5, object(), "\ud800", "x" * 10_000]
)
def test_a_model_that_is_no_name_does_not_lose_the_call(calls, model):
    answer = {
        "object": "chat.completion",
        "model": "m",
        "choices": [],
        "usage": {"prompt_tokens": 1, "completion_tokens": 5},
    }
    with track_ai("x") as call:
        call.set(model=model)
        call.record(answer)
    assert [(type(call.model), call.tokens) for call in calls] == [(str, 6)]


@pytest.mark.parametrize("status", ["404", 404.0, object(), None, [], -1])
def test_a_status_that_is_no_number_does_not_lose_the_call(calls, status):
    with track_request("GET", "/x") as request:
        request.status = status
    assert [call.endpoint for call in calls] == ["/x"]


@pytest.mark.parametrize("response", [None, 5, "text", b"x", [], {}, object(), int, {"usage": 5}])
def test_recording_anything_raises_nothing(calls, response):
    with track_ai("x") as call:
        call.record(response)
        geomon.record(response)
    assert [(call.outcome, call.usage) for call in calls] == [("ok", ())]


def test_an_exception_whose_text_raises_comes_through_itself(calls):
    class Broken(Exception):
        def __str__(self):
            raise RuntimeError

        def __getattr__(self, name):
            raise RuntimeError(name)

    error = Broken()
    with pytest.raises(Broken) as raised, track_ai("x"):
        raise error
    assert raised.value is error
    assert [(call.outcome, call.error_type) for call in calls] == [("error", "other")]


def test_a_result_whose_class_lies_is_given_back_itself(calls):
    class Liar:
        @property
        def __class__(self):
            raise RuntimeError

    result = Liar()
    assert track_ai("x")(lambda: result)() is result
    assert outcomes(calls) == [("x", "ok")]


def test_many_result_classes_are_not_all_remembered():
    from geomon.tracking import wrapping

    make = track_ai("x")(lambda cls: cls())
    with geomon.testing.capture_calls(only=True):
        for i in range(wrapping._KNOWN_TYPES + 10):
            make(type(f"C{i}", (), {}))
    assert len(wrapping._kinds) <= wrapping._KNOWN_TYPES + len(wrapping._PLAIN_TYPES)


# --- processes


def test_a_stream_left_open_at_the_interpreter_s_end_says_nothing():
    ended = run("""
        import geomon
        @geomon.track_ai("x")
        def numbers():
            yield 1
            yield 2
        stream = numbers()
        next(stream)
        geomon.kept = [stream]
    """)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "Traceback" not in ended.stderr
    assert "ignored" not in ended.stderr


DISABLED = """
    import asyncio, sys, geomon

    def function(): return 5
    async def coroutine(): return 5
    def generator(): yield 5

    for shape in (function, coroutine, generator):
        assert geomon.track_ai("x")(shape) is shape
        assert geomon.track_ai(shape) is shape
        assert geomon.track_request("GET", "/x")(shape) is shape
    with geomon.track_ai("x") as call:
        call.record({"object": "chat.completion"})
        call.set(a=1)
        call.first_token()
        geomon.record(object())
    with geomon.bind(a=1), geomon.meter() as meter:
        function()
    with geomon.track_request("GET", "/x") as request:
        request.status = 500
    with geomon.configure(sinks=[lambda call: print("emitted")]) as handle:
        with geomon.track_ai("x"):
            pass
    print(meter.calls, meter.cost, handle.recent, "prometheus_client" in sys.modules)
"""


@pytest.mark.parametrize("value", ["1", "true", "YES"])
def test_disabled_geomon_does_nothing(value):
    ended = run(DISABLED, GEOMON_DISABLED=value)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0 0.0 [] False\n", "")


def test_disabled_geomon_still_says_what_is_wrong_at_decoration():
    ended = run("import geomon; geomon.track_request(len)", GEOMON_DISABLED="1")
    assert "TypeError: track_request needs a method" in ended.stderr


def test_a_variable_that_is_neither_yes_nor_no_says_what_to_write():
    ended = run("import geomon; geomon.track_ai('x')(len)([])", GEOMON_DISABLED="perhaps")
    assert "write GEOMON_DISABLED=1 or GEOMON_DISABLED=0" in ended.stderr


def test_a_child_process_tracks_its_own_calls():
    ended = run("""
        import os, geomon
        from geomon.testing import capture_calls
        with capture_calls(only=True) as calls:
            with geomon.track_ai("parent"):
                child = os.fork()
                with geomon.track_ai("inner"):
                    pass
            if child == 0:
                os._exit(0 if [c.type for c in calls] == ["inner", "parent"] else 1)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), [c.type for c in calls])
    """)
    assert (ended.stdout, ended.stderr) == ("0 ['inner', 'parent']\n", "")


def test_a_decorated_function_is_found_by_another_process(tmp_path):
    (tmp_path / "module_of_work.py").write_text(
        "import geomon\n\n@geomon.track_ai('x')\ndef work(n):\n    return n + 1\n"
    )
    ended = run(
        """
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        from module_of_work import work
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            print(list(pool.map(work, [1, 2])))
        """,
        PYTHONPATH=str(tmp_path),
    )
    assert (ended.returncode, ended.stdout) == (0, "[2, 3]\n")


def test_what_a_started_hook_calls_is_not_tracked() -> None:
    class Calling:
        def __init__(self) -> None:
            self.began: list[str] = []
            self.ended: list[str] = []

        def started(self, active: object) -> None:
            self.began.append(repr(active))
            with geomon.track_ai("from a hook"):
                pass

        def __call__(self, call: geomon.Call) -> None:
            self.ended.append(str(call.type))

    sink = Calling()
    with geomon.configure(registry=CollectorRegistry(), sinks=[sink]), geomon.track_ai("x"):
        assert geomon.current_call() is not None
    assert (len(sink.began), sink.ended) == (1, ["x"])


def test_the_last_calls_keep_no_exception() -> None:
    with geomon.configure(registry=CollectorRegistry()) as handle:
        with contextlib.suppress(ValueError), geomon.track_ai("x"):
            raise ValueError("prompt")
        kept = handle.recent
    assert [(call.error, call.error_type, call.outcome) for call in kept] == [
        (None, "other", "error")
    ]


def test_a_block_of_disabled_geomon_feeds_no_meter() -> None:
    program = (
        "import geomon\n"
        "with geomon.meter() as m, geomon.track_ai('x') as call:\n"
        "    call.record({'object': 'chat.completion'})\n"
        "print(m.calls)"
    )
    environment = {**os.environ, "GEOMON_DISABLED": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert (ended.stdout, ended.stderr) == ("0\n", "")
