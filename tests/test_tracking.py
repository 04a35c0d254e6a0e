"""What a decorated function or a with-block does: every shape, every outcome, nesting."""

import asyncio
import contextlib
import copy
import functools
import gc
import inspect
import pickle
import random
import threading
import traceback
import types
import typing
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, ExitStack
from contextvars import copy_context
from typing import Any

import pytest

import geomon
from geomon import track_ai, track_request
from geomon.testing import capture_calls


def outcomes(calls: list[geomon.Call]) -> list[tuple[str | None, str]]:
    return [(call.type, call.outcome) for call in calls]


# --- at module level, where pickle finds them


@track_ai("pickled")
def pickled(x: int) -> int:
    """Gives x back."""
    return x


class Model:
    """A class whose methods are decorated in every way."""

    def __init__(self, name: str = "m") -> None:
        self.name = name

    @track_ai("method")
    def method(self, x: int) -> tuple[str, int]:
        return self.name, x

    @track_ai("async method")
    async def async_method(self, x: int) -> tuple[str, int]:
        return self.name, x

    @track_ai("generator method")
    def items(self, n: int) -> Any:
        yield from range(n)

    @track_ai("async generator method")
    async def async_items(self, n: int) -> Any:
        for i in range(n):
            yield i

    @track_ai("classmethod")
    @classmethod
    def above(cls, x: int) -> tuple[type, int]:
        return cls, x

    @classmethod
    @track_ai("classmethod")
    def below(cls, x: int) -> tuple[type, int]:
        return cls, x

    @track_ai("staticmethod")
    @staticmethod
    def static_above(x: int) -> int:
        return x

    @staticmethod
    @track_ai("staticmethod")
    def static_below(x: int) -> int:
        return x

    @track_ai("classmethod")
    @classmethod
    async def async_above(cls, x: int) -> tuple[type, int]:
        return cls, x

    @classmethod
    @track_ai("classmethod")
    async def async_below(cls, x: int) -> tuple[type, int]:
        return cls, x

    @track_ai("staticmethod")
    @staticmethod
    async def async_static_above(x: int) -> int:
        return x

    @track_ai("classmethod")
    @classmethod
    def generator_above(cls, n: int) -> Any:
        yield from range(n)

    @classmethod
    @track_ai("classmethod")
    def generator_below(cls, n: int) -> Any:
        yield from range(n)

    @property
    @track_ai("property")
    def answer(self) -> int:
        return 42


class Called:
    def __call__(self, x: int) -> int:
        return x + 1


class AsyncCalled:
    async def __call__(self, x: int) -> int:
        return x + 1


class GeneratorCalled:
    def __call__(self, n: int) -> Any:
        yield from range(n)


def plus(a: int, b: int) -> int:
    return a + b


async def async_plus(a: int, b: int) -> int:
    return a + b


# --- shapes


def test_a_function_is_one_call(calls):
    @track_ai("summarize")
    def summarize(text, *, words=3):
        return text, words

    assert summarize("t", words=5) == ("t", 5)
    assert outcomes(calls) == [("summarize", "ok")]


def test_an_async_function_is_one_call(calls):
    @track_ai("summarize")
    async def summarize(text):
        await asyncio.sleep(0)
        return text

    assert asyncio.run(summarize("t")) == "t"
    assert outcomes(calls) == [("summarize", "ok")]


def test_a_bare_tracker_takes_the_function_s_name_as_type(calls):
    @track_ai
    def translate():
        return 1

    translate()
    assert outcomes(calls) == [("translate", "ok")]


def test_a_tracker_without_a_type_takes_the_function_s_name(calls):
    @track_ai(model="gpt-4o")
    def translate():
        return 1

    translate()
    assert [(call.type, call.model) for call in calls] == [("translate", "gpt-4o")]


def test_a_with_block_without_a_type_takes_the_name_of_the_function_around_it(calls):
    with track_ai():
        pass
    assert [call.type for call in calls] == [
        "test_a_with_block_without_a_type_takes_the_name_of_the_function_around_it"
    ]


def test_a_bare_tracker_takes_the_name_of_a_callable_object_s_class(calls):
    track_ai(Called())(1)
    assert [call.type for call in calls] == ["Called"]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        pytest.param(lambda: Model("a").method(1), ("a", 1), id="method"),
        pytest.param(lambda: Model.method(Model("a"), 1), ("a", 1), id="method from class"),
        pytest.param(lambda: Model.above(1), (Model, 1), id="above classmethod"),
        pytest.param(lambda: Model().above(1), (Model, 1), id="above classmethod, instance"),
        pytest.param(lambda: Model.below(1), (Model, 1), id="below classmethod"),
        pytest.param(lambda: Model().below(1), (Model, 1), id="below classmethod, instance"),
        pytest.param(lambda: Model.static_above(1), 1, id="above staticmethod"),
        pytest.param(lambda: Model().static_above(1), 1, id="above staticmethod, instance"),
        pytest.param(lambda: Model.static_below(1), 1, id="below staticmethod"),
        pytest.param(lambda: Model().static_below(1), 1, id="below staticmethod, instance"),
        pytest.param(lambda: Model().answer, 42, id="property"),
        pytest.param(lambda: list(Model().items(2)), [0, 1], id="generator method"),
        pytest.param(lambda: list(Model.generator_above(2)), [0, 1], id="above generator cm"),
        pytest.param(lambda: list(Model.generator_below(2)), [0, 1], id="below generator cm"),
        pytest.param(lambda: track_ai("f")(functools.partial(plus, 1))(2), 3, id="partial"),
        pytest.param(
            lambda: track_ai("f")(functools.partial(Model("a").method.__wrapped__, 2))(),
            ("a", 2),
            id="partial of method",
        ),
        pytest.param(lambda: track_ai("f")(Called())(1), 2, id="callable object"),
        pytest.param(lambda: track_ai("f")(len)([1]), 1, id="built-in"),
        pytest.param(lambda: track_ai("f")([1, 2].count)(1), 1, id="built-in method"),
        pytest.param(
            lambda: list(track_ai("f")(GeneratorCalled())(2)), [0, 1], id="generator __call__"
        ),
        pytest.param(lambda: track_ai("f")(lambda: 5)(), 5, id="lambda"),
        pytest.param(
            lambda: track_ai("f")(functools.lru_cache(lambda: 5))(), 5, id="lru_cache object"
        ),
    ],
)
def test_each_synchronous_shape_works_as_undecorated_and_is_one_call(calls, call, expected):
    assert expected == call()
    assert [call.outcome for call in calls] == ["ok"]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        pytest.param(lambda: Model("a").async_method(1), ("a", 1), id="method"),
        pytest.param(lambda: Model.async_above(1), (Model, 1), id="above classmethod"),
        pytest.param(lambda: Model.async_below(1), (Model, 1), id="below classmethod"),
        pytest.param(lambda: Model().async_static_above(1), 1, id="above staticmethod"),
        pytest.param(lambda: track_ai("f")(functools.partial(async_plus, 1))(2), 3, id="partial"),
        pytest.param(lambda: track_ai("f")(AsyncCalled())(1), 2, id="callable object"),
        pytest.param(
            lambda: track_ai("f")(functools.partial(AsyncCalled(), 1))(), 2, id="partial of object"
        ),
        pytest.param(lambda: track_ai("f")(lambda: async_plus(1, 2))(), 3, id="gives coroutine"),
    ],
)
def test_each_asynchronous_shape_works_as_undecorated_and_is_one_call(calls, call, expected):
    async def main():
        return await call()

    assert expected == asyncio.run(main())
    assert [call.outcome for call in calls] == ["ok"]


def test_a_subclass_binds_a_decorated_classmethod_to_itself(calls):
    class Sub(Model):
        pass

    assert [(Sub, 1), (Sub, 2)] == [Sub.above(1), Sub.below(2)]


def test_super_reaches_a_decorated_method(calls):
    class Sub(Model):
        def method(self, x):
            return super().method(x + 1)

    assert Sub().method(1) == ("m", 2)


def test_a_decorated_abstract_method_stays_abstract():
    import abc

    class Base(abc.ABC):
        @track_ai("x")
        @abc.abstractmethod
        def run(self): ...

    with pytest.raises(TypeError, match="abstract"):
        Base()


def test_a_decorated_partial_in_a_staticmethod_is_not_bound(calls):
    class Holder:
        plus_one = staticmethod(track_ai("x")(functools.partial(plus, 1)))

    assert Holder().plus_one(2) == 3


def test_one_tracker_may_decorate_many_functions(calls):
    tracker = track_ai("shared")
    for function in (tracker(lambda: 1), tracker(lambda: 2)):
        function()
    assert outcomes(calls) == [("shared", "ok"), ("shared", "ok")]


def test_a_request_decorator_counts_a_request(calls):
    @track_request("post", "/v1/render")
    def render():
        return 1

    render()
    assert [
        (call.kind, call.method, call.endpoint, call.status, call.outcome) for call in calls
    ] == [("request", "POST", "/v1/render", 200, "ok")]


def test_a_coroutine_under_types_coroutine_is_one_call(calls):
    @track_ai("x")
    @types.coroutine
    def wait():
        yield from asyncio.sleep(0).__await__()
        return 9

    async def main():
        return await wait()

    assert asyncio.run(main()) == 9
    assert outcomes(calls) == [("x", "ok")]


def test_a_task_that_a_plain_function_returns_is_given_back_itself(calls):
    async def main():
        made = []

        @track_ai("x")
        def start():
            made.append(asyncio.ensure_future(async_plus(1, 2)))
            return made[0]

        task = start()
        same = task is made[0]
        before = outcomes(calls)
        return same, before, await task

    assert asyncio.run(main()) == (True, [], 3)
    assert outcomes(calls) == [("x", "ok")]


def test_a_future_that_fails_is_an_error(calls):
    async def main():
        future = asyncio.get_running_loop().create_future()
        track_ai("x")(lambda: future)()
        future.set_exception(ValueError("v"))
        with pytest.raises(ValueError, match="v"):
            await future

    asyncio.run(main())
    assert outcomes(calls) == [("x", "error")]


def test_a_future_that_is_cancelled_is_cancelled(calls):
    async def main():
        future = asyncio.get_running_loop().create_future()
        track_ai("x")(lambda: future)()
        future.cancel()
        await asyncio.wait([future])

    asyncio.run(main())
    assert outcomes(calls) == [("x", "cancelled")]


def test_a_future_that_is_never_done_is_abandoned(calls):
    async def main():
        track_ai("x")(lambda: asyncio.get_running_loop().create_future())()
        gc.collect()

    asyncio.run(main())
    assert outcomes(calls) == [("x", "abandoned")]


class Promise:
    """A client's own awaitable."""

    def __init__(self, result: Any = None, error: BaseException | None = None) -> None:
        self.result, self.error, self.id = result, error, "p-1"

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        if self.error is not None:
            raise self.error
        return self.result


def test_an_awaitable_object_keeps_its_attributes_and_class(calls):
    promise = track_ai("x")(lambda: Promise(1))()
    assert (promise.id, isinstance(promise, Promise)) == ("p-1", True)


def test_an_awaitable_object_s_call_ends_when_it_has_been_awaited(calls):
    async def main():
        promise = track_ai("x")(lambda: Promise(7))()
        before = outcomes(calls)
        return before, await promise

    assert asyncio.run(main()) == ([], 7)
    assert outcomes(calls) == [("x", "ok")]


def test_an_awaitable_object_may_be_gathered(calls):
    async def main():
        make = track_ai("x")(lambda: Promise(7))
        return await asyncio.gather(make(), make())

    assert asyncio.run(main()) == [7, 7]
    assert outcomes(calls) == [("x", "ok"), ("x", "ok")]


def test_an_awaitable_object_that_fails_is_an_error(calls):
    error = ValueError("v")

    async def main():
        await track_ai("x")(lambda: Promise(error=error))()

    with pytest.raises(ValueError, match="v") as raised:
        asyncio.run(main())
    assert error is raised.value
    assert outcomes(calls) == [("x", "error")]


def test_an_awaitable_object_that_is_never_awaited_is_abandoned(calls):
    track_ai("x")(lambda: Promise(7))()
    gc.collect()
    assert outcomes(calls) == [("x", "abandoned")]


class PromiseOrBlock(Promise):
    """As aiohttp's requests: awaited, or entered with `async with`."""

    async def __aenter__(self):
        return await self

    async def __aexit__(self, *exc):
        return None


def test_an_awaitable_that_is_entered_ends_with_its_block(calls):
    async def main():
        async with track_ai("x")(lambda: PromiseOrBlock(7))() as result:
            return result, outcomes(calls)

    assert asyncio.run(main()) == (7, [])
    assert outcomes(calls) == [("x", "ok")]


def test_an_awaitable_that_could_be_entered_can_be_awaited(calls):
    async def main():
        return await track_ai("x")(lambda: PromiseOrBlock(7))()

    assert asyncio.run(main()) == 7
    assert outcomes(calls) == [("x", "ok")]


class Pages(Promise):
    """Awaited for one page, or iterated over for all items, as openai's."""

    async def __aiter__(self):
        for i in range(3):
            yield i


class OldPromise(Promise):
    """Read with `for` too."""

    def __iter__(self):
        return iter([1, 2])


class Steps(Promise):
    """An async iterator itself, which can be entered too."""

    left = 2

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return self.left

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc): ...


@pytest.mark.parametrize(("make", "expected"), [(Pages, [0, 1, 2]), (Steps, [1, 0])])
def test_an_awaitable_that_is_iterated_over_ends_with_the_iteration(calls, make, expected):
    async def main():
        return [item async for item in track_ai("x")(lambda: make())()]

    assert asyncio.run(main()) == expected
    assert outcomes(calls) == [("x", "ok")]


@pytest.mark.parametrize("make", [Pages, OldPromise, Steps])
def test_an_awaitable_that_could_be_iterated_over_can_be_awaited(calls, make):
    made = make()

    async def main():
        return await track_ai("x")(lambda: made)()

    assert asyncio.run(main()) == asyncio.run(_awaited(lambda: make()))
    assert outcomes(calls) == [("x", "ok")]


def test_an_awaitable_may_be_read_with_for(calls):
    assert list(track_ai("x")(lambda: OldPromise())()) == [1, 2]
    assert outcomes(calls) == [("x", "ok")]


@pytest.mark.parametrize("make", [Promise, Pages, OldPromise, Steps])
@pytest.mark.parametrize("kind", [Iterable, AsyncIterable, AsyncIterator, Awaitable])
def test_a_stand_in_can_be_iterated_over_where_the_awaitable_can(make, kind):
    assert isinstance(track_ai("x")(lambda: make())(), kind) == isinstance(make(), kind)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_coroutine_of_a_plain_function_that_is_never_awaited_is_abandoned(calls):
    track_ai("x")(lambda: async_plus(1, 2))()
    gc.collect()
    assert outcomes(calls) == [("x", "abandoned")]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_an_async_function_that_is_never_awaited_is_no_call(calls):
    track_ai("x")(async_plus)(1, 2)
    gc.collect()
    assert outcomes(calls) == []


@pytest.mark.parametrize("function", [async_plus, lambda a, b: async_plus(a, b)])
def test_a_coroutine_that_is_never_awaited_is_warned_of_once_by_its_own_name(function):
    with pytest.warns(RuntimeWarning) as warned:
        track_ai("x")(function)(1, 2)
    assert [str(w.message) for w in warned] == ["coroutine 'async_plus' was never awaited"]


@pytest.mark.parametrize("function", [async_plus, lambda a, b: async_plus(a, b)])
def test_a_task_cancelled_before_its_first_step_warns_of_nothing(function):
    async def main():
        task = asyncio.create_task(track_ai("x")(function)(1, 2))
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    gc.collect()


# --- what a decorated thing keeps


def test_the_signature_is_kept():
    assert str(inspect.signature(pickled)) == "(x: int) -> int"


def test_the_signature_of_a_bound_method_is_kept():
    assert str(inspect.signature(Model().method)) == "(x: int) -> tuple[str, int]"


def test_type_hints_are_kept():
    assert {"x": int, "return": int} == typing.get_type_hints(pickled)


def test_the_docstring_and_names_are_kept():
    assert ("Gives x back.", "pickled", "pickled", __name__) == (
        pickled.__doc__,
        pickled.__name__,
        pickled.__qualname__,
        pickled.__module__,
    )


def test_the_source_is_found():
    assert inspect.getsource(pickled).splitlines(True)[0] == '@track_ai("pickled")\n'


async def _async_generator():
    yield 1


def _generator():
    yield 1


@pytest.mark.parametrize("function", [plus, async_plus, _generator, _async_generator, Called()])
@pytest.mark.parametrize(
    "asks",
    [
        inspect.isfunction,
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        callable,
    ],
)
def test_inspect_says_of_a_decorated_thing_what_it_says_of_the_thing(function, asks):
    assert asks(function) == asks(track_ai("x")(function))


@pytest.mark.parametrize("name", ["async_method", "async_above", "async_below"])
def test_a_bound_async_method_is_a_coroutine_function(name):
    assert inspect.iscoroutinefunction(getattr(Model(), name))


def test_a_coroutine_keeps_its_kind_and_name():
    coroutine = track_ai("x")(async_plus)(1, 2)
    try:
        assert (
            inspect.iscoroutine(coroutine),
            coroutine.__name__,
            coroutine.__qualname__,
        ) == (True, "async_plus", "async_plus")
    finally:
        coroutine.close()


def test_wrong_arguments_raise_the_function_s_own_error():
    with pytest.raises(TypeError, match=r"plus\(\) missing 1 required positional argument: 'b'"):
        track_ai("x")(plus)(1)


def test_wrong_arguments_of_an_async_function_raise_where_it_is_awaited():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'b'"):
        asyncio.run(track_ai("x")(async_plus)(1))


def test_a_decorated_function_is_pickled_by_name():
    assert pickled is pickle.loads(pickle.dumps(pickled))


@pytest.mark.parametrize("name", ["above", "below", "static_above", "static_below"])
@pytest.mark.parametrize("owner", [Model, Model()], ids=["class", "instance"])
def test_a_decorated_class_or_static_method_can_be_pickled(name, owner):
    method = getattr(owner, name)
    assert method(1) == pickle.loads(pickle.dumps(method))(1)


def test_a_decorated_method_is_pickled_with_its_object():
    assert pickle.loads(pickle.dumps(Model("z").method))(1) == ("z", 1)


def test_a_decorated_method_of_a_class_can_be_pickled():
    assert pickle.loads(pickle.dumps(Model.method))(Model("z"), 1) == ("z", 1)


def test_a_pickled_method_still_counts(calls):
    pickle.loads(pickle.dumps(Model().method))(1)
    assert outcomes(calls) == [("method", "ok")]


def test_a_copy_of_a_decorated_function_is_the_function_itself():
    assert (copy.copy(pickled) is pickled, copy.deepcopy(pickled) is pickled) == (True, True)


def test_a_deep_copy_of_a_decorated_method_belongs_to_a_copy_of_its_object():
    model = Model("z")
    method = copy.deepcopy(model.method)
    model.name = "changed"
    assert method(1) == ("z", 1)


def test_attributes_set_on_a_decorated_function_are_the_function_s():
    def function(): ...

    track_ai("x")(function).marker = 1
    assert function.marker == 1


def test_a_decorated_function_is_called_with_context_manager_s_protocol(calls):
    @contextlib.contextmanager
    @track_ai("block")
    def block():
        yield 5

    with block() as value:
        assert value == 5
    assert outcomes(calls) == [("block", "ok")]


def test_an_exception_goes_through_a_decorated_context_manager(calls):
    @contextlib.contextmanager
    @track_ai("block")
    def block():
        try:
            yield
        except KeyError:
            raise ValueError("v") from None

    with pytest.raises(ValueError, match="v"):
        with block():
            raise KeyError
    assert outcomes(calls) == [("block", "error")]


def test_a_decorated_async_context_manager_works(calls):
    @contextlib.asynccontextmanager
    @track_ai("block")
    async def block():
        yield 5

    async def main():
        async with block() as value:
            return value

    assert asyncio.run(main()) == 5
    assert outcomes(calls) == [("block", "ok")]


@pytest.mark.parametrize(
    "result", [object(), [1], {"a": 1}, (1,), {1}, 1.5, True, None, b"x", range(3), Model]
)
def test_the_result_is_the_same_object(calls, result):
    assert result is track_ai("x")(lambda: result)()


def test_the_result_of_an_async_function_is_the_same_object(calls):
    result = {"a": object()}

    @track_ai("x")
    async def give():
        return result

    assert result is asyncio.run(give())


# --- outcomes

ERRORS = [
    (ValueError("v"), "error", "other"),
    (TimeoutError(), "error", "timeout"),
    (StopIteration(3), "error", "other"),
    (asyncio.CancelledError(), "cancelled", "cancelled"),
    (KeyboardInterrupt(), "cancelled", "cancelled"),
    (GeneratorExit(), "cancelled", "cancelled"),
    (SystemExit(3), "cancelled", "cancelled"),
]
EACH_ERROR = pytest.mark.parametrize(
    ("error", "outcome", "error_type"), ERRORS, ids=[type(error[0]).__name__ for error in ERRORS]
)


@EACH_ERROR
def test_an_exception_of_a_function_is_its_call_s_outcome(calls, error, outcome, error_type):
    @track_ai("x")
    def fail():
        raise error

    with pytest.raises(type(error)) as raised:
        fail()
    assert error is raised.value
    assert [(outcome, error_type, error)] == [(c.outcome, c.error_type, c.error) for c in calls]


@EACH_ERROR
def test_an_exception_in_a_with_block_is_its_call_s_outcome(calls, error, outcome, error_type):
    with pytest.raises(type(error)) as raised:
        with track_ai("x"):
            raise error
    assert error is raised.value
    assert [(outcome, error_type, error)] == [(c.outcome, c.error_type, c.error) for c in calls]


@EACH_ERROR
def test_an_exception_of_a_coroutine_is_its_call_s_outcome(calls, error, outcome, error_type):
    @track_ai("x")
    async def fail():
        raise error

    expected = RuntimeError if isinstance(error, StopIteration) else type(error)
    with pytest.raises(expected):
        fail().send(None)
    assert [(outcome, error_type)] == [(call.outcome, call.error_type) for call in calls]


def test_the_traceback_of_an_exception_is_kept(calls):
    @track_ai("x")
    def fail():
        raise ValueError("v")

    with pytest.raises(ValueError, match="v") as raised:
        fail()
    assert traceback.extract_tb(raised.value.__traceback__)[-1].name == "fail"


def test_cause_and_context_of_an_exception_are_kept(calls):
    cause = KeyError("k")

    @track_ai("x")
    def fail():
        raise ValueError("v") from cause

    with pytest.raises(ValueError, match="v") as raised:
        fail()
    assert cause is raised.value.__cause__


def test_a_cancelled_task_is_cancelled(calls):
    @track_ai("x")
    async def wait():
        await asyncio.Event().wait()

    async def main():
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(main())
    assert outcomes(calls) == [("x", "cancelled")]


def test_a_task_that_outlives_its_time_is_cancelled(calls):
    @track_ai("x")
    async def wait():
        await asyncio.Event().wait()

    async def main():
        async with asyncio.timeout(0):
            await wait()

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert outcomes(calls) == [("x", "cancelled")]


def test_a_coroutine_that_is_thrown_away_while_it_waits_is_cancelled(calls):
    @track_ai("x")
    async def wait():
        await asyncio.sleep(0)

    coroutine = wait()
    coroutine.send(None)
    del coroutine
    gc.collect()
    assert outcomes(calls) == [("x", "cancelled")]


def test_a_coroutine_that_is_closed_in_another_context_is_cancelled(calls):
    @track_ai("x")
    async def wait():
        await asyncio.sleep(0)

    coroutine = wait()
    copy_context().run(coroutine.send, None)
    coroutine.close()
    assert outcomes(calls) == [("x", "cancelled")]
    assert geomon.current_call() is None


def test_an_exception_that_the_function_handles_is_no_error(calls):
    @track_ai("x")
    def recover():
        try:
            raise ValueError
        except ValueError:
            return 1

    recover()
    assert outcomes(calls) == [("x", "ok")]


def test_a_request_s_status_is_200_where_it_is_not_set(calls):
    with track_request("GET", "/items"):
        pass
    assert [(call.status, call.outcome) for call in calls] == [(200, "ok")]


def test_a_request_s_status_is_what_was_set(calls):
    with track_request("GET", "/items") as request:
        request.status = 201
    assert [(call.status, call.outcome) for call in calls] == [(201, "ok")]


def test_a_request_with_a_status_of_5xx_is_an_error(calls):
    with track_request("GET", "/items") as request:
        request.status = 503
    assert [(c.status, c.outcome, c.error_type) for c in calls] == [(503, "error", "server_error")]


def test_a_request_that_raises_has_status_500(calls):
    with pytest.raises(KeyError):
        with track_request("GET", "/items"):
            raise KeyError
    assert [(call.status, call.outcome) for call in calls] == [(500, "error")]


def test_a_request_that_raises_has_its_exception_s_status(calls):
    class NotFound(Exception):
        status_code = 404

    with pytest.raises(NotFound):
        with track_request("GET", "/items"):
            raise NotFound
    assert [(call.status, call.error_type) for call in calls] == [(404, "not_found")]


# --- time and place


def test_a_call_lasts_from_its_start_to_its_return(calls, clock):
    @track_ai("x")
    def work():
        clock.move(2)

    work()
    assert [call.duration for call in calls] == [2.0]


def test_an_async_call_lasts_from_its_first_step_to_its_return(calls, clock):
    @track_ai("x")
    async def work():
        clock.move(2)

    coroutine = work()
    clock.move(5)
    asyncio.run(coroutine)
    assert [call.duration for call in calls] == [2.0]


def test_a_coroutine_of_a_plain_function_lasts_to_its_end(calls, clock):
    async def work():
        clock.move(2)

    asyncio.run(_awaited(track_ai("x")(lambda: work())))
    assert [call.duration for call in calls] == [2.0]


async def _awaited(function: Callable[[], Any]) -> Any:
    return await function()


def test_a_task_of_a_plain_function_lasts_to_its_end(calls, clock):
    async def work():
        clock.move(2)

    async def main():
        await track_ai("x")(lambda: asyncio.create_task(work()))()

    asyncio.run(main())
    assert [call.duration for call in calls] == [2.0]


def test_a_stepped_wall_clock_does_not_change_a_duration(calls, clock):
    with track_ai("x"):
        clock.set_wall(5.0)
        clock.move(1)
    assert [(call.duration, call.started_at) for call in calls] == [(1.0, 1_700_000_000.0)]


def test_first_token_is_marked_once(calls, clock):
    with track_ai("x") as call:
        clock.move(1)
        call.first_token()
        clock.move(1)
        call.first_token()
    assert [call.time_to_first_token for call in calls] == [1.0]


def test_code_is_the_decorated_function_s(calls):
    @track_ai("x")
    def here(): ...

    here()
    code = here.__wrapped__.__code__
    assert [(code.co_filename, code.co_firstlineno, code.co_qualname)] == [c.code for c in calls]


def test_code_is_the_with_block_s(calls):
    line = inspect.currentframe().f_lineno + 1
    with track_ai("x"):
        pass
    assert [(__file__, line)] == [call.code[:2] for call in calls]


# --- the handle


def test_what_is_set_is_in_the_call(calls):
    with track_ai("x") as call:
        call.set(model="m", provider="p", answer=42)
        call.set(more=1)
    assert [(call.model, call.provider, dict(call.attributes)) for call in calls] == [
        ("m", "p", {"answer": 42, "more": 1})
    ]


def test_current_call_is_the_decorated_function_s(calls):
    @track_ai("x")
    def inside():
        return geomon.current_call().type

    assert inside() == "x"
    assert geomon.current_call() is None


def test_current_call_is_the_innermost_block_s(calls):
    with track_ai("outer"):
        with track_ai("inner"):
            inner = geomon.current_call().type
        outer = geomon.current_call().type
    assert (inner, outer, geomon.current_call()) == ("inner", "outer", None)


def test_the_open_call_of_a_with_block_is_the_current_one(calls):
    with track_ai("x") as call:
        assert call is geomon.current_call()


def test_an_async_with_block_is_one_call(calls):
    async def main():
        async with track_ai("x") as call:
            call.set(n=1)

    asyncio.run(main())
    assert [(call.type, dict(call.attributes)) for call in calls] == [("x", {"n": 1})]


# --- nesting


def test_two_explicit_trackers_both_count(calls):
    @track_ai("outer")
    def outer():
        with track_ai("inner"):
            pass

    outer()
    assert outcomes(calls) == [("inner", "ok"), ("outer", "ok")]


def test_decorating_twice_counts_once(calls):
    @track_ai("upper")
    @track_ai("lower")
    def twice(): ...

    twice()
    assert outcomes(calls) == [("upper", "ok")]


def test_decorating_twice_around_a_classmethod_counts_once(calls):
    class Holder:
        @track_ai("upper")
        @classmethod
        @track_ai("lower")
        def twice(cls):
            return cls

    assert Holder is Holder.twice()
    assert outcomes(calls) == [("upper", "ok")]


def test_decorating_a_decorated_classmethod_again_counts_once(calls):
    class Holder:
        @track_ai("upper")
        @track_ai("lower")
        @classmethod
        def twice(cls):
            return cls

    assert Holder is Holder.twice()
    assert outcomes(calls) == [("upper", "ok")]


METHODS = ["method", "above", "below", "static_above", "static_below"]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("owner", [Model("z"), Model], ids=["object", "class"])
def test_decorating_a_decorated_method_again_counts_once(calls, name, owner):
    arguments = (Model("z"), 1) if owner is Model and name == "method" else (1,)
    method = getattr(owner, name)
    again = track_ai("again")(method)
    assert again(*arguments) == track_ai("again")(again)(*arguments)
    assert [call.type for call in calls] == ["again", "again"]
    assert again(*arguments) == method(*arguments)


def test_an_ai_and_a_request_decorator_on_one_function_both_count(calls):
    @track_request("GET", "/x")
    @track_ai("x")
    def both(): ...

    both()
    assert [call.kind for call in calls] == ["ai", "request"]


def test_a_recursive_function_counts_each_run(calls):
    @track_ai("x")
    def down(n):
        return n if n == 0 else down(n - 1)

    down(3)
    assert len(calls) == 4


def test_a_tracker_may_be_entered_again_inside_itself(calls):
    tracker = track_ai("x")
    with tracker as outer:
        outer.set(n=1)
        with tracker as inner:
            inner.set(n=2)
        assert outer is geomon.current_call()
    assert [call.attributes["n"] for call in calls] == [2, 1]


def test_tasks_in_one_group_never_mix(calls):
    @track_ai("x")
    async def work(i):
        geomon.current_call().set(i=i)
        for _ in range(random.Random(i).randrange(10)):
            await asyncio.sleep(0)
        geomon.current_call().set(done=i)

    async def main():
        async with asyncio.TaskGroup() as group:
            for i in range(50):
                group.create_task(work(i))

    asyncio.run(main())
    assert {(i, i) for i in range(50)} == {
        (call.attributes["i"], call.attributes["done"]) for call in calls
    }
    assert len(calls) == 50


@pytest.mark.parametrize("stack", [False, True], ids=["async with", "exit stack"])
def test_one_tracker_is_entered_by_a_hundred_tasks_at_once(calls, stack):
    tracker = track_ai("x")

    async def work(i):
        async with AsyncExitStack() as entered:
            if stack:
                call = await entered.enter_async_context(tracker)
                await _worked(call, i)
            else:
                async with tracker as call:
                    await _worked(call, i)

    async def main():
        await asyncio.gather(*map(work, range(100)), return_exceptions=True)

    asyncio.run(main())
    assert sorted((i, i if i % 3 == 0 else None) for i in range(100)) == sorted(
        ((c.attributes["i"], c.error.args[0] if c.error else None) for c in calls),
    )


async def _worked(call: geomon.ActiveCall, i: int) -> None:
    call.set(i=i)
    for _ in range(random.Random(i).randrange(10)):
        await asyncio.sleep(0)
    if i % 3 == 0:
        raise ValueError(i)


def test_one_tracker_is_entered_by_many_threads_at_once(calls):
    tracker = track_ai("x")
    inside = threading.Barrier(20)

    def work(i):
        with tracker as call:
            call.set(i=i)
            inside.wait()
            assert call is geomon.current_call()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(range(20)) == sorted(call.attributes["i"] for call in calls)


def test_generators_leave_one_tracker_s_blocks_in_any_order(calls):
    tracker = track_ai("x")

    def block(name):
        with tracker as call:
            call.set(name=name)
            yield

    first, second = block("first"), block("second")
    next(first)
    next(second)
    assert next(first, "over") == "over"
    assert [call.attributes["name"] for call in calls] == ["first"]
    assert next(second, "over") == "over"
    assert [call.attributes["name"] for call in calls] == ["first", "second"]
    assert geomon.current_call() is None


def test_exit_stacks_in_two_contexts_leave_one_tracker_in_any_order(calls):
    tracker = track_ai("x")
    names = ("first", "second")
    contexts = {name: copy_context() for name in names}
    stacks = {name: ExitStack() for name in names}
    for name in names:
        contexts[name].run(stacks[name].enter_context, tracker).set(name=name)
    for name in names:
        contexts[name].run(stacks[name].close)
    assert [call.attributes["name"] for call in calls] == ["first", "second"]


def test_blocks_opened_and_closed_by_helpers_leave_in_any_order(calls):
    tracker = track_ai("x")
    names = ("first", "second")
    contexts = {name: copy_context() for name in names}

    def enter(name):
        tracker.__enter__().set(name=name)

    def leave(name):
        tracker.__exit__(None, None, None)

    for name in names:
        contexts[name].run(enter, name)
    for name in names:
        contexts[name].run(leave, name)
    assert [call.attributes["name"] for call in calls] == ["first", "second"]


def test_leaving_a_tracker_that_was_not_entered_does_nothing(calls):
    assert track_ai("x").__exit__(None, None, None) is None
    assert calls == []


def test_a_background_task_whose_parent_has_ended_is_a_call_of_its_own(calls):
    @track_ai("background")
    async def background():
        await asyncio.sleep(0)
        return geomon.current_call().type

    @track_ai("parent")
    async def parent():
        return asyncio.create_task(asyncio.sleep(0)), asyncio.create_task(background())

    async def main():
        tasks = await parent()
        assert outcomes(calls) == [("parent", "ok")]
        return (await asyncio.gather(*tasks))[1]

    assert asyncio.run(main()) == "background"
    assert outcomes(calls) == [("parent", "ok"), ("background", "ok")]


def test_in_a_background_task_an_ended_parent_is_not_the_current_call(calls):
    async def background(go):
        await go.wait()
        return geomon.current_call()

    async def main():
        go = asyncio.Event()
        with track_ai("parent"):
            task = asyncio.create_task(background(go))
        go.set()
        return await task

    assert asyncio.run(main()) is None


def test_a_background_task_sees_the_open_grandparent(calls):
    async def background(go):
        await go.wait()
        return geomon.current_call().type

    async def main():
        go = asyncio.Event()
        with track_ai("grandparent"):
            with track_ai("parent"):
                task = asyncio.create_task(background(go))
            go.set()
            return await task

    assert asyncio.run(main()) == "grandparent"


def test_a_decorated_partial_is_pickled_as_a_partial_is() -> None:
    tracked = geomon.track_ai("p")(functools.partial(divmod, 7))
    restored = pickle.loads(pickle.dumps(tracked))
    with capture_calls(only=True) as calls:
        assert restored(2) == (3, 1)
    assert [call.type for call in calls] == ["p"]
