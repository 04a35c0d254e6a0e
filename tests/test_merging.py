"""What counts as one call: clients' calls inside explicit ones, responses read twice, meters."""

import asyncio
import threading
from typing import Any

import pytest

import geomon
from geomon import track_ai, track_request
from geomon.tracking import track_client


def response(model: str = "gpt-4o", input: int = 10, output: int = 5) -> dict[str, Any]:
    return {
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {}}],
        "usage": {"prompt_tokens": input, "completion_tokens": output},
    }


def chunks(model: str = "gpt-4o", input: int = 10, output: int = 5) -> list[dict[str, Any]]:
    kind = {"object": "chat.completion.chunk", "model": model}
    return [
        {**kind, "choices": [{"index": 0, "delta": {"content": "a"}}]},
        {**kind, "choices": [{"index": 0, "delta": {"content": "b"}}]},
        {
            **kind,
            "choices": [],
            "usage": {"prompt_tokens": input, "completion_tokens": output},
        },
    ]


@track_client("chat", provider="openai", model="gpt-4o")
def client(*args: int) -> dict[str, Any]:
    return response("gpt-4o", *args)


@track_client("chat", provider="anthropic", model="claude")
def other_client(*args: int) -> dict[str, Any]:
    return response("claude", *args)


@track_client("chat", provider="openai", model="gpt-4o")
def streaming_client() -> Any:
    return iter(chunks())


@track_client("chat", provider="openai", model="gpt-4o")
def failing_client() -> None:
    raise TimeoutError


@track_client("chat", provider="openai", model="gpt-4o")
async def async_client(*args: int) -> dict[str, Any]:
    await asyncio.sleep(0)
    return response("gpt-4o", *args)


def usage_of(call: geomon.Call) -> list[tuple[str, int | None, int | None]]:
    return [(used.model, used.input, used.output) for used in call.usage]


def attempts_of(call: geomon.Call) -> list[tuple[str, str]]:
    return [tuple(attempt) for attempt in call.attempts]


# --- merging


def test_a_client_s_call_alone_is_a_call(calls):
    client()
    assert [(call.type, call.model, usage_of(call), call.attempts) for call in calls] == [
        ("chat", "gpt-4o", [("gpt-4o", 10, 5)], ())
    ]


def test_a_client_s_call_inside_an_explicit_one_is_a_part_of_it(calls):
    @track_ai("summarize")
    def summarize():
        return client()["model"]

    summarize()
    assert [(c.type, c.model, c.provider, usage_of(c), attempts_of(c)) for c in calls] == [
        ("summarize", "gpt-4o", "openai", [("gpt-4o", 10, 5)], [("gpt-4o", "ok")])
    ]


def test_a_response_that_the_function_returns_is_counted_once(calls):
    @track_ai("summarize")
    def summarize():
        return client()

    summarize()
    assert [(usage_of(call), call.metered) for call in calls] == [([("gpt-4o", 10, 5)], True)]


def test_a_response_that_is_recorded_by_hand_too_is_counted_once(calls):
    with track_ai("summarize") as call:
        call.record(client())
        geomon.record(client())
    assert [usage_of(call) for call in calls] == [[("gpt-4o", 20, 10)]]


def test_usage_is_told_apart_by_model(calls):
    with track_ai("summarize"):
        client(1, 2)
        other_client(3, 4)
        client(5, 6)
    assert [usage_of(call) for call in calls] == [[("gpt-4o", 6, 8), ("claude", 3, 4)]]


def test_each_inner_call_is_an_attempt(calls):
    with track_ai("summarize"):
        with pytest.raises(TimeoutError):
            failing_client()
        client()
    assert [(call.outcome, attempts_of(call)) for call in calls] == [
        ("ok", [("gpt-4o", "error"), ("gpt-4o", "ok")])
    ]


def test_an_inner_failure_that_comes_through_is_the_outer_one_s(calls):
    @track_ai("summarize")
    def summarize():
        failing_client()

    with pytest.raises(TimeoutError):
        summarize()
    assert [(call.type, call.error_type, attempts_of(call)) for call in calls] == [
        ("summarize", "timeout", [("gpt-4o", "error")])
    ]


def test_an_inner_call_s_retries_are_attempts(calls):
    with track_ai("summarize"):
        with track_client("chat", model="gpt-4o") as inner:
            inner.attempt("error")
            inner.attempt("ok")
    assert [attempts_of(call) for call in calls] == [[("gpt-4o", "error"), ("gpt-4o", "ok")]]


def test_the_model_that_was_named_stays_the_call_s(calls):
    with track_ai("summarize", model="mine"):
        client()
    assert [(call.model, call.response_model, usage_of(call)) for call in calls] == [
        ("mine", "gpt-4o", [("gpt-4o", 10, 5)])
    ]


def test_an_inner_stream_gives_its_time_to_first_token(calls, clock):
    @track_client("chat", model="gpt-4o")
    def slow():
        clock.move(2)
        yield from chunks()
        clock.move(3)

    @track_ai("summarize")
    def summarize():
        clock.move(1)
        for _ in slow():
            clock.move(10)

    summarize()
    assert [
        (call.type, call.time_to_first_token, call.duration, usage_of(call)) for call in calls
    ] == [("summarize", 3.0, 36.0, [("gpt-4o", 10, 5)])]


def test_an_inner_stream_that_is_handed_on_is_read_once(calls):
    @track_ai("summarize")
    def summarize():
        return streaming_client()

    assert len(list(summarize())) == 3
    assert [(call.type, usage_of(call), attempts_of(call)) for call in calls] == [
        ("summarize", [("gpt-4o", 10, 5)], [("gpt-4o", "ok")])
    ]


def test_an_inner_stream_that_a_generator_passes_on_is_read_once(calls):
    @track_ai("summarize")
    def summarize():
        yield from streaming_client()

    list(summarize())
    assert [(call.type, usage_of(call), attempts_of(call)) for call in calls] == [
        ("summarize", [("gpt-4o", 10, 5)], [("gpt-4o", "ok")])
    ]


def test_an_inner_stream_whose_items_are_changed_is_read_once(calls):
    @track_ai("summarize")
    def summarize():
        for item in streaming_client():
            yield item["choices"]

    list(summarize())
    assert [usage_of(call) for call in calls] == [[("gpt-4o", 10, 5)]]


def test_an_inner_stream_that_outlives_the_block_counts_by_itself(calls):
    with track_ai("summarize"):
        stream = streaming_client()
    list(stream)
    assert [(call.type, usage_of(call), attempts_of(call)) for call in calls] == [
        ("summarize", [], []),
        ("chat", [("gpt-4o", 10, 5)], []),
    ]


def test_without_merging_both_count_and_the_tokens_once(calls):
    @track_ai("summarize", merge=False)
    def summarize():
        return client()

    summarize()
    assert [(c.type, usage_of(c), attempts_of(c), c.metered) for c in calls] == [
        ("chat", [("gpt-4o", 10, 5)], [], True),
        ("summarize", [], [], True),
    ]


def test_a_client_s_call_merges_into_the_nearest_explicit_one(calls):
    with track_ai("outer"):
        with track_ai("inner"):
            client()
    assert [(call.type, usage_of(call), call.metered) for call in calls] == [
        ("inner", [("gpt-4o", 10, 5)], True),
        ("outer", [], True),
    ]


def test_a_client_s_call_inside_a_request_counts_by_itself(calls):
    with track_request("POST", "/v1/render"):
        client()
    assert [(call.kind, usage_of(call)) for call in calls] == [
        ("ai", [("gpt-4o", 10, 5)]),
        ("request", []),
    ]


def test_a_request_inside_an_ai_call_counts_by_itself(calls):
    with track_ai("summarize"):
        with track_request("POST", "/v1/render"):
            client()
    assert [(call.kind, attempts_of(call)) for call in calls] == [
        ("request", []),
        ("ai", [("gpt-4o", "ok")]),
    ]


def test_a_client_s_call_inside_a_client_s_merges_with_it(calls):
    with track_ai("summarize"):
        with track_client("outer client", model="gpt-4o"):
            client()
    assert [(call.type, usage_of(call), attempts_of(call)) for call in calls] == [
        ("summarize", [("gpt-4o", 10, 5)], [("gpt-4o", "ok")])
    ]


def test_clients_calls_of_many_tasks_are_parts_of_one_call(calls):
    @track_ai("summarize")
    async def summarize():
        await asyncio.gather(*(async_client(1, 1) for _ in range(20)))

    asyncio.run(summarize())
    assert [(call.type, usage_of(call), len(call.attempts)) for call in calls] == [
        ("summarize", [("gpt-4o", 20, 20)], 20)
    ]


def test_clients_calls_of_carried_threads_are_parts_of_one_call(calls):
    with track_ai("summarize"):
        threads = [threading.Thread(target=geomon.carry(client)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [(call.type, usage_of(call), len(call.attempts)) for call in calls] == [
        ("summarize", [("gpt-4o", 100, 50)], 10)
    ]


def test_a_client_s_call_of_a_plain_thread_counts_by_itself(calls):
    with track_ai("summarize"):
        thread = threading.Thread(target=client)
        thread.start()
        thread.join()
    assert [(call.type, call.attempts) for call in calls] == [("chat", ()), ("summarize", ())]


def test_a_background_task_s_client_call_after_its_parent_s_end_counts_by_itself(calls):
    async def main():
        with track_ai("summarize"):
            task = asyncio.create_task(async_client())
        await task

    asyncio.run(main())
    assert [(call.type, usage_of(call)) for call in calls] == [
        ("summarize", []),
        ("chat", [("gpt-4o", 10, 5)]),
    ]


def test_a_client_s_call_that_ends_after_its_parent_counts_by_itself(calls):
    async def main():
        with track_ai("summarize"):
            task = asyncio.create_task(async_client())
            await asyncio.sleep(0)
        await task

    asyncio.run(main())
    assert [(call.type, usage_of(call)) for call in calls] == [
        ("summarize", []),
        ("chat", [("gpt-4o", 10, 5)]),
    ]


# --- one response, two readers


def test_a_response_recorded_by_inner_and_outer_counts_once(calls):
    answer = response()
    with track_ai("outer") as outer:
        with track_ai("inner") as inner:
            inner.record(answer)
        outer.record(answer)
    assert [(call.type, usage_of(call), call.metered) for call in calls] == [
        ("inner", [("gpt-4o", 10, 5)], True),
        ("outer", [], True),
    ]


def test_a_response_returned_through_two_decorators_counts_once(calls):
    @track_ai("inner")
    def inner():
        return response()

    @track_ai("outer")
    def outer():
        return inner()

    outer()
    assert [(call.type, usage_of(call)) for call in calls] == [
        ("inner", [("gpt-4o", 10, 5)]),
        ("outer", []),
    ]


def test_a_stream_passed_through_two_trackers_counts_its_tokens_once(calls):
    @track_ai("inner")
    def inner():
        yield from chunks()

    @track_ai("outer")
    def outer():
        yield from inner()

    list(outer())
    assert [(call.type, usage_of(call), call.metered) for call in calls] == [
        ("inner", [("gpt-4o", 10, 5)], True),
        ("outer", [], True),
    ]


def test_a_response_recorded_twice_counts_once(calls):
    answer = response()
    with track_ai("x") as call:
        call.record(answer)
        call.record(answer)
    assert [usage_of(call) for call in calls] == [[("gpt-4o", 10, 5)]]


def test_two_responses_are_added_up(calls):
    with track_ai("x") as call:
        call.record(response())
        call.record(response())
    assert [usage_of(call) for call in calls] == [[("gpt-4o", 20, 10)]]


def message(input: int, output: int, restated: bool = False) -> list[dict[str, Any]]:
    """Anthropic's events, whose last one may tell the input again."""
    usage = {"input_tokens": input, "output_tokens": 1}
    start = {"type": "message", "model": "claude-sonnet-5", "usage": usage}
    end = {"output_tokens": output, **({"input_tokens": input} if restated else {})}
    text = {"type": "text_delta", "text": "a"}
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_delta", "index": 0, "delta": text},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": end},
        {"type": "message_stop"},
    ]


def named(name: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """OpenAI's chunks, each of which tells the tokens so far."""
    return [
        {**item, "id": name, "usage": {"prompt_tokens": 10, "completion_tokens": number}}
        for number, item in enumerate(items)
    ]


@pytest.mark.parametrize("restated", [False, True])
def test_events_recorded_one_by_one_are_one_response(calls, restated):
    with track_ai("x") as call:
        for item in message(100, 50, restated):
            call.record(item)
    assert usage_of(calls[0]) == [("claude-sonnet-5", 100, 50)]
    assert (calls[0].finish_reasons, calls[0].tokens) == (("end_turn",), 150)


def test_items_recorded_one_by_one_tell_the_first_token(calls, clock):
    with track_ai("x") as call:
        for item in message(100, 50):
            clock.move(1)
            call.record(item)
    assert [call.time_to_first_token for call in calls] == [2.0]


def test_streams_recorded_one_after_the_other_are_added_up(calls):
    with track_ai("x") as call:
        for item in [*message(100, 50), *message(1, 2)]:
            call.record(item)
    assert usage_of(calls[0]) == [("claude-sonnet-5", 101, 52)]


def test_streams_whose_items_are_recorded_in_turn_are_added_up(calls):
    one, two = named("1", chunks()), named("2", chunks())
    with track_ai("x") as call:
        for items in zip(one, two, strict=True):
            for item in items:
                call.record(item)
    assert usage_of(calls[0]) == [("gpt-4o", 20, 2 * (len(one) - 1))]


def test_two_streams_that_a_block_records_are_added_up(calls):
    with track_ai("x") as call:
        for _ in range(2):
            for _ in call.record(iter(message(100, 50))):
                pass
    assert usage_of(calls[0]) == [("claude-sonnet-5", 200, 100)]


def test_items_of_a_recorded_stream_that_are_recorded_too_count_once(calls):
    with track_ai("x") as call:
        for item in call.record(iter(message(100, 50, restated=True))):
            call.record(item)
    assert usage_of(calls[0]) == [("claude-sonnet-5", 100, 50)]


def test_a_generator_may_record_the_items_it_passes_on(calls):
    @track_ai("x")
    def passing():
        for item in message(100, 50):
            yield geomon.record(item)

    list(passing())
    assert usage_of(calls[0]) == [("claude-sonnet-5", 100, 50)]


def test_an_inner_stream_s_first_token_is_the_outer_one_s(calls, clock):
    @track_ai("inner")
    def inner():
        for item in message(100, 50):
            clock.move(1)
            yield item

    @track_ai("outer")
    def outer():
        yield from inner()

    list(outer())
    assert [call.time_to_first_token for call in calls] == [2.0, 2.0]


def test_dicts_of_another_shape_recorded_one_by_one_say_nothing(calls):
    with track_ai("x") as call:
        for item in [{"type": "other"}, {"type": ["list"]}, {"object": 1}, {}]:
            assert call.record(item) is item
    assert (calls[0].usage, calls[0].time_to_first_token) == ((), None)


def test_a_decorated_function_s_response_is_read(calls):
    track_ai("x")(response)()
    assert [(c.response_model, c.finish_reasons, usage_of(c)) for c in calls] == [
        ("gpt-4o", ("stop",), [("gpt-4o", 10, 5)])
    ]


def test_record_reads_a_response_into_the_current_call(calls):
    @track_ai("x")
    def work():
        geomon.record(response())
        return "text"

    work()
    assert [usage_of(call) for call in calls] == [[("gpt-4o", 10, 5)]]


def test_record_outside_a_call_only_gives_the_response_back(calls):
    answer = response()
    assert geomon.record(answer) is answer
    assert calls == []


def test_recording_into_a_call_that_has_ended_changes_nothing(calls):
    with track_ai("x") as call:
        pass
    call.record(response())
    assert [call.usage for call in calls] == [()]


def test_a_request_s_return_value_is_not_read_as_a_response(calls):
    track_request("GET", "/x")(response)()
    assert [call.usage for call in calls] == [()]


# --- meters


def test_a_meter_adds_up_the_calls_inside_it(calls):
    client()
    with geomon.meter() as meter:
        client()
        with track_ai("summarize"):
            client()
    client()
    assert (meter.calls, meter.tokens) == (2, 30)


def test_a_meter_may_be_read_while_it_is_open(calls):
    with geomon.meter() as meter:
        before = meter.tokens
        client()
        assert (before, meter.tokens) == (0, 15)


def test_a_meter_counts_failed_calls(calls):
    with geomon.meter() as meter:
        with pytest.raises(TimeoutError):
            failing_client()
    assert (meter.calls, meter.tokens, meter.cost) == (1, 0, 0.0)


def test_a_meter_adds_up_cost(calls):
    pipeline = geomon.dispatch.current()
    geomon.dispatch.install(
        geomon.dispatch.Pipeline(pipeline.sinks, lambda used, at, requested: 0.25)
    )
    try:
        with geomon.meter() as meter:
            client()
            client()
    finally:
        geomon.dispatch.install(pipeline)
    assert meter.cost == 0.5


def test_a_meter_adds_up_its_tasks_calls(calls):
    async def main():
        async with geomon.meter() as meter:
            async with asyncio.TaskGroup() as group:
                for _ in range(20):
                    group.create_task(async_client())
        return meter

    meter = asyncio.run(main())
    assert (meter.calls, meter.tokens) == (20, 300)


def test_a_meter_adds_up_carried_threads_calls(calls):
    with geomon.meter() as meter:
        thread = threading.Thread(target=geomon.carry(client))
        thread.start()
        thread.join()
    assert meter.calls == 1


def test_two_tasks_meters_do_not_mix(calls):
    async def work(n):
        with geomon.meter() as meter:
            for _ in range(n):
                await async_client()
        return meter.calls

    async def main():
        return await asyncio.gather(*map(work, range(5)))

    assert asyncio.run(main()) == [0, 1, 2, 3, 4]


def test_nested_meters_both_count(calls):
    with geomon.meter() as outer:
        client()
        with geomon.meter() as inner:
            client()
        client()
    assert (outer.calls, inner.calls) == (3, 1)


def test_a_meter_inside_an_explicit_call_sees_the_client_s_calls(calls):
    @track_ai("agent")
    def agent():
        with geomon.meter() as meter:
            while meter.tokens < 40:
                client()
        return meter.calls

    assert agent() == 3
    assert [(call.type, len(call.attempts)) for call in calls] == [("agent", 3)]


def test_a_meter_around_and_one_inside_an_explicit_call_agree(calls):
    with geomon.meter() as outer:
        with track_ai("agent"):
            with geomon.meter() as inner:
                client()
                client()
    assert (outer.tokens, inner.tokens) == (30, 30)


def test_the_current_call_is_seen_through_a_meter(calls):
    with track_ai("x") as call:
        with geomon.meter():
            assert geomon.current_call() is call


def test_a_client_s_call_merges_through_a_meter(calls):
    with track_ai("x"):
        with geomon.meter():
            client()
    assert [(call.type, len(call.attempts)) for call in calls] == [("x", 1)]


def test_a_call_that_ends_after_its_meter_is_not_added(calls):
    with geomon.meter() as meter:
        stream = streaming_client()
    list(stream)
    assert meter.calls == 0


def test_a_meter_may_be_opened_again_and_goes_on(calls):
    meter = geomon.meter()
    for _ in range(2):
        with meter:
            client()
    assert meter.calls == 2


def test_a_meter_that_is_open_already_says_what_to_write(calls):
    with geomon.meter() as meter:
        with pytest.raises(RuntimeError, match=r"with geomon\.meter\(\) as m"):
            meter.__enter__()
        client()
    assert meter.calls == 1


def test_a_stream_read_inside_a_meter_is_added(calls):
    with geomon.meter() as meter:
        list(streaming_client())
    assert (meter.calls, meter.tokens) == (1, 15)
