"""What `bind` puts into the context, how it goes along, and how it is taken back."""

import asyncio
import contextlib
import functools
import gc
import inspect
import pickle
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import geomon
from geomon import bind, carry, get_context, track_ai


@pytest.fixture(autouse=True)
def nothing_stays_bound():
    yield
    assert get_context() == {}


def test_nothing_is_bound_at_first():
    assert get_context() == {}


def test_values_are_bound_inside_the_block_only():
    with bind(request_id="r-1", user_id="u-7"):
        inside = get_context()
    assert (inside, get_context()) == ({"request_id": "r-1", "user_id": "u-7"}, {})


def test_inner_values_hide_outer_ones_until_their_block_ends():
    with bind(a=1, b=1):
        with bind(b=2, c=2):
            inner = get_context()
        outer = get_context()
    assert (inner, outer) == ({"a": 1, "b": 2, "c": 2}, {"a": 1, "b": 1})


def test_a_changed_copy_of_the_context_changes_nothing():
    with bind(a=1):
        get_context()["a"] = 2
        assert get_context() == {"a": 1}


def test_who_sees_the_context_of_a_call_cannot_change_it(calls):
    with bind(a=1), track_ai("chat"):
        pass
    with pytest.raises(TypeError, match="cannot be changed"):
        calls[0].context["a"] = 2
    with pytest.raises(TypeError, match="cannot be changed"):
        calls[0].context.update(a=2)
    assert calls[0].context == {"a": 1}


def test_what_is_bound_goes_to_another_process_as_plain_values(calls):
    with bind(a=1, session=object()), track_ai("chat"):
        pass
    assert pickle.loads(pickle.dumps(calls[0].context)) == {"a": 1}


def test_values_are_restored_after_an_exception():
    with contextlib.suppress(KeyError), bind(a=1):
        raise KeyError
    assert get_context() == {}


def test_an_exception_comes_through_a_block_itself():
    error = KeyError("k")
    with pytest.raises(KeyError) as raised, bind(a=1):
        raise error
    assert raised.value is error


def test_an_async_block_binds():
    async def main():
        async with bind(a=1):
            return get_context()

    assert asyncio.run(main()) == {"a": 1}


def test_one_bind_may_be_entered_again_inside_itself():
    again = bind(a=1)
    with again:
        with again:
            pass
        assert get_context() == {"a": 1}


def test_one_bind_is_entered_by_many_tasks_at_once():
    shared = bind(a=1)

    async def work(i):
        with bind(i=i):
            for _ in range(i % 5):
                await asyncio.sleep(0)
            with shared:
                await asyncio.sleep(0)
                inside = get_context()
            return inside, get_context()

    async def main():
        return await asyncio.gather(*map(work, range(100)))

    assert asyncio.run(main()) == [({"i": i, "a": 1}, {"i": i}) for i in range(100)]


def test_one_bind_is_entered_by_many_threads_at_once():
    shared, inside = bind(a=1), threading.Barrier(10)

    def work(i):
        with bind(i=i), shared:
            inside.wait()
            return get_context()

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(work, range(10))) == [{"i": i, "a": 1} for i in range(10)]


def test_an_exit_stack_restores():
    with contextlib.ExitStack() as stack:
        stack.enter_context(bind(a=1))
        stack.enter_context(bind(b=2))
        assert get_context() == {"a": 1, "b": 2}
    assert get_context() == {}


def test_a_call_carries_what_was_bound_when_it_began(calls):
    with bind(user_id="u-7"):
        with track_ai("x"), bind(later=1):
            pass
    assert [dict(call.context) for call in calls] == [{"user_id": "u-7"}]


def test_a_stream_carries_what_was_bound_when_it_began(calls):
    @track_ai("x")
    def numbers():
        yield 1

    stream = numbers()
    with bind(user_id="u-7"):
        next(stream)
    list(stream)
    assert [dict(call.context) for call in calls] == [{"user_id": "u-7"}]


def test_a_bound_trace_id_is_the_call_s(calls):
    with bind(trace_id="t" * 32, span_id="s" * 16), track_ai("x"):
        pass
    assert [(call.trace_id, call.span_id) for call in calls] == [("t" * 32, "s" * 16)]


# --- decorated


def test_a_decorated_function_is_bound():
    assert (bind(a=1)(get_context)(), get_context()) == ({"a": 1}, {})


def test_a_decorated_async_function_is_bound():
    @bind(a=1)
    async def inside():
        await asyncio.sleep(0)
        return get_context()

    async def main():
        return await inside(), get_context()

    assert asyncio.run(main()) == ({"a": 1}, {})


def test_a_decorated_generator_is_bound_in_its_body_only():
    @bind(a=1)
    def inside():
        yield get_context()
        yield get_context()

    assert [(item, get_context()) for item in inside()] == [({"a": 1}, {})] * 2


def test_a_decorated_async_generator_is_bound_in_its_body_only():
    @bind(a=1)
    async def inside():
        yield get_context()
        await asyncio.sleep(0)
        yield get_context()

    async def main():
        return [(item, get_context()) async for item in inside()]

    assert asyncio.run(main()) == [({"a": 1}, {})] * 2


def test_a_decorated_generator_sees_its_consumer_s_values():
    @bind(a=1)
    def inside():
        yield get_context()

    with bind(b=2):
        assert list(inside()) == [{"a": 1, "b": 2}]


def test_a_block_over_a_yield_in_a_decorated_generator_is_not_seen_outside():
    @bind(a=1)
    def inside():
        with bind(b=2):
            yield get_context()
            yield get_context()
        yield get_context()

    assert [(item, get_context()) for item in inside()] == [
        ({"a": 1, "b": 2}, {}),
        ({"a": 1, "b": 2}, {}),
        ({"a": 1}, {}),
    ]


def test_a_block_over_a_yield_in_a_decorated_async_generator_is_not_seen_outside():
    @bind(a=1)
    async def inside():
        with bind(b=2):
            yield get_context()
            yield get_context()
        yield get_context()

    async def main():
        return [(item, get_context()) async for item in inside()]

    assert asyncio.run(main()) == [
        ({"a": 1, "b": 2}, {}),
        ({"a": 1, "b": 2}, {}),
        ({"a": 1}, {}),
    ]


def test_a_decorated_generator_keeps_send_throw_and_its_return_value():
    @bind(a=1)
    def inside():
        got = [(yield 0)]
        try:
            yield 1
        except KeyError as error:
            got.append(error)
        return got

    error, stream = KeyError("k"), inside()
    assert [next(stream), stream.send("a")] == [0, 1]
    with pytest.raises(StopIteration) as stopped:
        stream.throw(error)
    assert stopped.value.value == ["a", error]


def test_a_decorated_async_generator_keeps_asend_and_athrow():
    @bind(a=1)
    async def inside():
        got = yield 0
        try:
            yield got
        except KeyError:
            yield get_context()

    async def main():
        stream = inside()
        return [await anext(stream), await stream.asend("a"), await stream.athrow(KeyError())]

    assert asyncio.run(main()) == [0, "a", {"a": 1}]


def test_a_decorated_generator_is_bound_while_it_is_closed():
    seen = []

    @bind(a=1)
    def inside():
        try:
            yield
        finally:
            seen.append(get_context())

    stream = inside()
    next(stream)
    stream.close()
    assert seen == [{"a": 1}]


def test_a_decorated_async_generator_may_be_closed_in_another_task():
    seen = []

    @bind(a=1)
    async def inside():
        try:
            yield
        finally:
            seen.append(get_context())

    async def main():
        stream = inside()
        await anext(stream)
        await asyncio.create_task(close(stream))
        return get_context()

    async def close(stream):
        with bind(closer=1):
            await stream.aclose()
            assert get_context() == {"closer": 1}

    assert asyncio.run(main()) == {}
    assert seen == [{"a": 1, "closer": 1}]


class Holder:
    @bind(a=1)
    @classmethod
    def above(cls):
        return cls, get_context()

    @classmethod
    @bind(a=1)
    def below(cls):
        return cls, get_context()

    @bind(a=1)
    @staticmethod
    def static():
        return Holder, get_context()

    @bind(a=1)
    def method(self):
        return type(self), get_context()


@pytest.mark.parametrize("name", ["above", "below", "static", "method"])
def test_each_kind_of_method_is_bound(name):
    assert getattr(Holder(), name)() == (Holder, {"a": 1})


def _async_generator():
    return None


async def coroutine(): ...


def generator():
    yield


async def async_generator():
    yield


@pytest.mark.parametrize("function", [coroutine, generator, async_generator, _async_generator])
@pytest.mark.parametrize(
    "asks",
    [inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction],
)
def test_inspect_says_of_a_bound_function_what_it_says_of_the_function(function, asks):
    assert asks(bind(a=1)(function)) == asks(function)


def test_a_bound_function_keeps_its_signature_name_and_docstring():
    @bind(a=1)
    def function(x: int, *, y: str = "") -> None:
        """Does nothing."""

    assert (str(inspect.signature(function)), function.__name__, function.__doc__) == (
        "(x: int, *, y: str = '') -> None",
        "function",
        "Does nothing.",
    )


async def _context() -> dict[str, Any]:
    await asyncio.sleep(0)
    return geomon.get_context()


class _Called:
    async def __call__(self) -> dict[str, Any]:
        return await _context()


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(lambda: _context(), id="plain function"),
        pytest.param(_Called(), id="callable object"),
        pytest.param(functools.partial(_context), id="partial"),
        pytest.param(lambda: asyncio.create_task(_context()), id="task"),
    ],
)
def test_what_is_awaited_of_a_bound_function_is_bound(function):
    async def main():
        return await bind(a=1)(function)(), geomon.get_context()

    assert asyncio.run(main()) == ({"a": 1}, {})


def test_a_bound_function_s_coroutine_keeps_its_kind_and_name():
    coroutine = bind(a=1)(lambda: _context())()
    assert (inspect.iscoroutine(coroutine), coroutine.__qualname__) == (True, "_context")
    coroutine.close()


def test_a_bound_function_s_coroutine_that_is_never_awaited_is_warned_of_once_by_its_own_name():
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        bind(a=1)(lambda: _context())()
        gc.collect()
    assert [str(warning.message) for warning in warned] == [
        "coroutine '_context' was never awaited"
    ]


def test_bind_and_a_tracker_may_decorate_one_function(calls):
    @bind(user_id="u-7")
    @track_ai("x")
    def work():
        return get_context()

    assert work() == {"user_id": "u-7"}
    assert [dict(call.context) for call in calls] == [{"user_id": "u-7"}]


@pytest.mark.parametrize("thing", [5, "text", int, None])
def test_decorating_what_is_no_function_says_so(thing):
    with pytest.raises(TypeError, match="decorates a function"):
        bind(a=1)(thing)


# --- where a token cannot be reset


def test_a_block_in_a_generator_closed_in_another_context_restores_nothing_there():
    def inside():
        with bind(a=1):
            yield

    stream = inside()
    copy_context().run(next, stream)
    with bind(b=2):
        stream.close()
        assert get_context() == {"b": 2}


def test_a_block_in_an_async_generator_closed_in_another_task_restores_nothing_there():
    async def inside():
        with bind(a=1):
            yield

    async def first(stream):
        await anext(stream)

    async def main():
        stream = inside()
        await asyncio.create_task(first(stream))
        with bind(b=2):
            await stream.aclose()
            return get_context()

    assert asyncio.run(main()) == {"b": 2}


def test_a_block_ends_over_what_a_generator_left_open_inside_it():
    def inside():
        with bind(b=2):
            yield

    stream = inside()
    with bind(a=1):
        next(stream)
    assert get_context() == {}
    stream.close()
    assert get_context() == {}


def test_a_block_entered_in_a_copied_context_is_left_in_it():
    block = bind(a=1)
    context = copy_context()
    context.run(block.__enter__)
    context.run(block.__exit__, None, None, None)
    assert context.run(get_context) == {}


@given(st.lists(st.sampled_from("abcd"), max_size=8))
def test_nested_blocks_restore_each_level(names):
    def descend(rest, expected):
        assert get_context() == expected
        if rest:
            with bind(**{rest[0]: len(rest)}):
                descend(rest[1:], {**expected, rest[0]: len(rest)})
            assert get_context() == expected

    descend(names, {})


# --- carry


def test_a_carried_function_takes_the_context_into_a_thread():
    got = []
    with bind(a=1):
        thread = threading.Thread(target=carry(lambda: got.append(get_context())))
    thread.start()
    thread.join()
    assert got == [{"a": 1}]


def test_a_carried_function_takes_the_context_into_an_executor():
    with ThreadPoolExecutor(1) as pool:
        with bind(a=1):
            carried = pool.submit(carry(get_context))
            plain = pool.submit(get_context)
        assert (carried.result(), plain.result()) == ({"a": 1}, {})


def test_a_carried_function_takes_the_current_call_along(calls):
    with ThreadPoolExecutor(1) as pool, track_ai("x") as call:
        assert pool.submit(carry(geomon.current_call)).result() is call


def test_a_carried_function_may_be_called_from_many_threads_at_once():
    inside = threading.Barrier(10)

    def work(i):
        inside.wait()
        return get_context(), i

    with bind(a=1):
        carried = carry(work)
    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(carried, range(10))) == [({"a": 1}, i) for i in range(10)]


def test_what_a_carried_function_binds_stays_in_it():
    def work():
        bind(b=2).__enter__()
        return get_context()

    with bind(a=1):
        carried = carry(work)
    assert [carried(), carried(), get_context()] == [{"a": 1, "b": 2}, {"a": 1, "b": 2}, {}]


def test_a_carried_function_keeps_its_signature_arguments_and_result():
    marker = object()

    def work(x: object, *, y: int) -> object:
        assert y == 2
        return x

    carried = carry(work)
    assert (carried(marker, y=2) is marker, str(inspect.signature(carried))) == (
        True,
        "(x: object, *, y: int) -> object",
    )


def test_carrying_what_is_no_function_says_what_to_write():
    with pytest.raises(TypeError, match=r"write carry\(work\)"):
        carry(5)  # type: ignore[arg-type]


def test_to_thread_takes_the_context_along_by_itself():
    async def main():
        with bind(a=1):
            return await asyncio.to_thread(get_context)

    assert asyncio.run(main()) == {"a": 1}


def test_tasks_inherit_the_context():
    async def main():
        async def child():
            return get_context()

        with bind(a=1):
            task = asyncio.create_task(child())
        return await task

    assert asyncio.run(main()) == {"a": 1}


def test_a_task_keeps_alive_what_it_was_started_in_and_no_blocks_left_before():
    class Value:
        pass

    async def job(more):
        value = Value()
        seen.append(weakref.ref(value))
        with bind(value=value):
            if more:
                return asyncio.create_task(job(more - 1))
            gc.collect()
            return [reference() is not None for reference in seen]

    async def main():
        found = await job(5)
        while isinstance(found, asyncio.Task):
            found = await found
        return found

    seen = []
    assert asyncio.run(main()) == [False] * 4 + [True] * 2


async def _coroutine() -> None: ...


def _generator():
    yield 1


async def _async_generator():
    yield 1


@pytest.mark.parametrize(
    ("function", "advice"),
    [
        (_coroutine, "asyncio.create_task(work())"),
        (_generator, "carry the function that iterates"),
        (_async_generator, "carry the function that iterates"),
    ],
)
def test_what_carry_cannot_take_is_an_error_that_says_what_to_write(function, advice) -> None:
    with pytest.raises(TypeError) as raised:
        geomon.carry(function)
    assert advice in str(raised.value)
