"""With-blocks, `bind`, `carry`, `meter` and the rest of the public names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_type

from prometheus_client import CollectorRegistry

import geomon
from geomon.testing import MovableClock, capture_calls, contained_failures

with geomon.track_ai("chat", model="gpt-4o") as call:
    assert_type(call, geomon.ActiveCall)
    assert_type(call.status, int | None)
    call.record(object())
    call.first_token()
    call.set(model="gpt-4o", prompt_version=3)
    call.model = "gpt-4o"

with geomon.track_request("POST", "/v1/render") as request:
    assert_type(request, geomon.ActiveCall)
    request.status = 201

with geomon.meter() as meter:
    assert_type(meter, geomon.Meter)
assert_type(meter.calls, int)
assert_type(meter.tokens, int)
assert_type(meter.cost, float)

with geomon.bind(request_id="r-1", user_id="u-7", anything=object()) as nothing:
    assert_type(nothing, None)


async def blocks() -> None:
    async with geomon.track_ai() as call:
        assert_type(call, geomon.ActiveCall)
    async with geomon.track_request("GET", "/") as request:
        assert_type(request, geomon.ActiveCall)
    async with geomon.meter() as meter:
        assert_type(meter, geomon.Meter)
    async with geomon.bind(request_id="r-1") as nothing:
        assert_type(nothing, None)


def raises() -> int:
    with geomon.track_ai("chat"), geomon.track_request("GET", "/"), geomon.bind(user_id="u-7"):
        return 1  # no block swallows an exception: nothing after it needs a return


def work(number: int, *, name: str) -> list[str]:
    return [name] * number


carried = geomon.carry(work)
assert_type(carried(1, name="a"), list[str])

assert_type(geomon.current_call(), geomon.ActiveCall | None)
assert_type(geomon.get_context(), dict[str, Any])
assert_type(geomon.record("answer"), str)


def sink(call: geomon.Call) -> None:
    assert_type(call.duration, float)
    assert_type(call.tokens, int | None)
    assert_type(call.cost, float | None)
    assert_type(call.usage, tuple[geomon.Usage, ...])
    assert_type(call.attempts, tuple[geomon.Attempt, ...])
    assert_type(call.code, geomon.Code | None)
    assert_type(call.error, BaseException | None)


handle = geomon.configure(
    registry=CollectorRegistry(),
    namespace="myapp",
    sinks=[sink, print],
    buckets=geomon.Buckets(ai=(0.1, 1, 10)),
    prices={"gpt-4o": {"input": 2.5, "output": 10}},
    capture_content=False,
    label_limit=100,
)
assert_type(handle, geomon.Handle)
assert_type(handle.recent, list[geomon.Call])
with geomon.configure() as entered:
    assert_type(entered, geomon.Handle)

with capture_calls(only=True) as calls:
    assert_type(calls, list[geomon.Call])
with MovableClock(wall=0.0) as clock:
    assert_type(clock, MovableClock)
with contained_failures():
    pass

callback: Callable[[geomon.Call], object] = sink
