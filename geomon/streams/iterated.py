"""Proxies of generators and iterators, for `for` and `async for`."""

from __future__ import annotations

from typing import Any

from geomon.streams.proxied import AsyncBlock, AsyncSteps, Block, Proxied, Steps


class Iterated(Steps, Proxied):
    """A stream read with `for`."""


class Generated(Iterated):
    """A generator."""

    def send(self, value: Any) -> Any:
        """As the generator's."""
        stream = self.__wrapped__
        return self._self_course.step(stream, stream.send, value)

    def throw(self, *error: Any) -> Any:
        """As the generator's."""
        stream = self.__wrapped__
        return self._self_course.step(stream, stream.throw, *error)


class IteratedInBlock(Steps, Block):
    """A stream read with `for`, closed by `with`."""


class AsyncIterated(AsyncSteps, Proxied):
    """A stream read with `async for`."""


class AsyncGenerated(AsyncIterated):
    """An asynchronous generator."""

    async def asend(self, value: Any) -> Any:
        """As the generator's."""
        stream = self.__wrapped__
        return await self._self_course.async_step(stream, stream.asend, value)

    async def athrow(self, *error: Any) -> Any:
        """As the generator's."""
        stream = self.__wrapped__
        return await self._self_course.async_step(stream, stream.athrow, *error)


class AsyncIteratedInBlock(AsyncSteps, AsyncBlock):
    """A stream read with `async for`, closed by `async with`."""


class IteratedEitherWay(Steps, AsyncSteps, Block, AsyncBlock):
    """A stream read with `for` or `async for`, as litellm's."""
