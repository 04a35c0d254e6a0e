"""The same requests, by every client."""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import Any, NamedTuple

import aiohttp
import httpx
import httpx2
import requests


class Answer(NamedTuple):
    status: int
    body: bytes
    url: str


class Client:
    """A client library, sync or async, by one interface."""

    name: str
    library: str

    def send(self, method: str, url: str, **options: Any) -> Answer:
        """Sends a request and reads its answer; `headers`, `timeout`, `follow`, `data`."""
        raise NotImplementedError

    def stream(self, url: str, how: str) -> int:
        """Streams an answer: reads `all`, `close`s it after a part, or `drop`s it then."""
        raise NotImplementedError


class Httpx(Client):
    def __init__(self, library: ModuleType) -> None:
        self.name = self.library = library.__name__
        self.httpx: Any = library

    def send(self, method: str, url: str, **options: Any) -> Answer:
        with self.httpx.Client(**_of_client(options)) as client:
            response = client.request(method, url, **options)
        assert type(response) is self.httpx.Response
        return Answer(response.status_code, response.content, str(response.url))

    def stream(self, url: str, how: str) -> int:
        with self.httpx.Client() as client:
            if how == "drop":
                client.send(client.build_request("GET", url), stream=True)
                return 0
            with client.stream("GET", url) as response:
                parts = response.iter_raw(1000)
                return sum(map(len, parts)) if how == "all" else len(next(parts))


class AsyncHttpx(Client):
    def __init__(self, library: ModuleType) -> None:
        self.library = library.__name__
        self.name = f"{self.library}-async"
        self.httpx: Any = library

    def send(self, method: str, url: str, **options: Any) -> Answer:
        return asyncio.run(self._send(method, url, **options))

    async def _send(self, method: str, url: str, **options: Any) -> Answer:
        async with self.httpx.AsyncClient(**_of_client(options)) as client:
            response = await client.request(method, url, **options)
        assert type(response) is self.httpx.Response
        return Answer(response.status_code, response.content, str(response.url))

    def stream(self, url: str, how: str) -> int:
        return asyncio.run(self._stream(url, how))

    async def _stream(self, url: str, how: str) -> int:
        async with self.httpx.AsyncClient() as client:
            if how == "drop":
                await client.send(client.build_request("GET", url), stream=True)
                return 0
            async with client.stream("GET", url) as response:
                parts = response.aiter_raw(1000)
                if how == "all":
                    return sum([len(part) async for part in parts])
                return len(await anext(parts))


class Requests(Client):
    name = library = "requests"

    def send(self, method: str, url: str, **options: Any) -> Answer:
        options["allow_redirects"] = options.pop("follow", True)
        with requests.Session() as session:
            response = session.request(method, url, **options)
        assert type(response) is requests.Response
        return Answer(response.status_code, response.content, response.url)

    def stream(self, url: str, how: str) -> int:
        with requests.Session() as session:
            if how == "drop":
                return len(next(session.get(url, stream=True).iter_content(1000)))
            with session.get(url, stream=True) as response:
                parts = response.iter_content(1000)
                return sum(map(len, parts)) if how == "all" else len(next(parts))


class Aiohttp(Client):
    name = library = "aiohttp"

    def send(self, method: str, url: str, **options: Any) -> Answer:
        return asyncio.run(self._send(method, url, **options))

    async def _send(self, method: str, url: str, **options: Any) -> Answer:
        options["allow_redirects"] = options.pop("follow", True)
        if "timeout" in options:
            options["timeout"] = aiohttp.ClientTimeout(total=options["timeout"])
        async with aiohttp.ClientSession() as session:
            async with session.request(method, url, **options) as response:
                assert type(response) is aiohttp.ClientResponse
                return Answer(response.status, await response.read(), str(response.url))

    def stream(self, url: str, how: str) -> int:
        return asyncio.run(self._stream(url, how))

    async def _stream(self, url: str, how: str) -> int:
        async with aiohttp.ClientSession() as session:
            if how == "drop":
                return len(await (await session.get(url)).content.read(1000))
            async with session.get(url) as response:
                parts = response.content.iter_chunked(1000)
                if how == "all":
                    return sum([len(part) async for part in parts])
                return len(await anext(parts))


def _of_client(options: dict[str, Any]) -> dict[str, Any]:
    """What an httpx client is told when it is made; off so that no test waits for a proxy."""
    return {"follow_redirects": options.pop("follow", True), "trust_env": False}


ALL: list[Client] = [
    Httpx(httpx),
    AsyncHttpx(httpx),
    Httpx(httpx2),
    AsyncHttpx(httpx2),
    Requests(),
    Aiohttp(),
]
