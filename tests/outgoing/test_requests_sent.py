"""Each request that any client sends is one call, timed to its last byte."""

from __future__ import annotations

import asyncio
import gc
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import aiohttp
import httpx
import httpx2
import pytest
import requests
from prometheus_client import CollectorRegistry
from requests.auth import HTTPDigestAuth

import geomon
from geomon import Call, dispatch
from geomon.alerts.untracked import leave_untracked
from geomon.sinks.prometheus import PrometheusSink
from tests.outgoing.server import PART, PARTS

pytestmark = pytest.mark.usefixtures("instrumented")

ASYNC_HTTPX = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])


def said(call: Call) -> tuple[str | None, str | None, int | None, str, str | None]:
    assert call.kind == "client_request"
    return call.method, call.host, call.status, call.outcome, call.error_type


# --- answers


def test_a_request_is_a_call_with_method_host_and_status(client, server, calls):
    assert client.send("GET", server.url + "/ok").status == 200
    assert list(map(said, calls)) == [("GET", server.host, 200, "ok", None)]


def test_a_body_that_is_sent_arrives(client, server, calls):
    assert client.send("POST", server.url + "/ok", data={"a": "b"}).status == 200
    assert list(map(said, calls)) == [("POST", server.host, 200, "ok", None)]


def test_a_client_error_is_an_answer(client, server, calls):
    assert client.send("GET", server.url + "/status?code=404").status == 404
    assert list(map(said, calls)) == [("GET", server.host, 404, "ok", None)]


def test_a_server_error_is_an_error(client, server, calls):
    assert client.send("GET", server.url + "/status?code=503").status == 503
    assert list(map(said, calls)) == [("GET", server.host, 503, "error", "server_error")]


@pytest.mark.parametrize(("method", "code"), [("HEAD", 200), ("GET", 204), ("DELETE", 200)])
def test_an_answer_without_a_body_is_whole(client, server, calls, method, code):
    assert client.send(method, f"{server.url}/status?code={code}").status == code
    assert list(map(said, calls)) == [(method, server.host, code, "ok", None)]


def test_each_redirect_is_a_request_of_its_own(client, server, calls):
    answer = client.send("GET", f"{server.url}/redirect?to={server.other_url}/ok")
    assert (answer.status, answer.url) == (200, f"{server.other_url}/ok")
    assert list(map(said, calls)) == [
        ("GET", server.host, 302, "ok", None),
        ("GET", server.other_host, 200, "ok", None),
    ]


def test_a_redirect_that_is_not_followed_is_an_answer(client, server, calls):
    assert client.send("GET", f"{server.url}/redirect?to=/ok", follow=False).status == 302
    assert list(map(said, calls)) == [("GET", server.host, 302, "ok", None)]


def test_redirects_without_end_are_requests_that_were_answered(client, server, calls):
    with pytest.raises(Exception, match=r"(?i)redirect|302"):
        client.send("GET", f"{server.url}/redirect")
    assert {said(call) for call in calls} == {("GET", server.host, 302, "ok", None)}


def test_each_round_of_an_authentication_is_a_request_of_its_own(server, calls):
    httpx.get(server.url + "/digest", auth=httpx.DigestAuth("u", "p"), trust_env=False)
    requests.get(server.url + "/digest", auth=HTTPDigestAuth("u", "p"))

    async def main() -> None:
        digest = aiohttp.DigestAuthMiddleware("u", "p")
        async with aiohttp.ClientSession(middlewares=(digest,)) as session:
            await (await session.get(server.url + "/digest")).read()

    asyncio.run(main())
    assert list(map(said, calls)) == 3 * [
        ("GET", server.host, 401, "ok", None),
        ("GET", server.host, 200, "ok", None),
    ]


def test_what_requests_gives_has_its_own_adapter_as_connection_and_can_be_pickled(server):
    with requests.Session() as session:
        answer = session.get(server.url + "/digest", auth=HTTPDigestAuth("u", "p"))
        adapter = session.get_adapter(server.url)
        plain = pickle.loads(pickle.dumps(session.get(server.url + "/ok")))
    assert [one.connection is adapter for one in (answer, *answer.history)] == [True, True]
    assert (plain.status_code, plain.json()["Host"]) == (200, server.host)


# --- failures


def test_a_timeout_is_an_error_without_a_status(client, server, calls):
    with pytest.raises((httpx.TimeoutException, httpx2.TimeoutException, OSError)) as raised:
        client.send("GET", server.url + "/silent", timeout=0.05)
    assert list(map(said, calls)) == [("GET", server.host, None, "error", "timeout")]
    assert calls[0].error is raised.value


def test_a_refused_connection_is_an_error(client, calls):
    with pytest.raises(Exception, match=r"(?i)refused|connect"):
        client.send("GET", "http://127.0.0.1:9/")
    assert list(map(said, calls)) == [("GET", "127.0.0.1:9", None, "error", "connection")]


def test_a_reset_connection_is_an_error(client, server, calls):
    with pytest.raises((httpx.TransportError, httpx2.TransportError, OSError, aiohttp.ClientError)):
        client.send("POST", server.url + "/reset", data={"a": "b"})
    assert list(map(said, calls)) == [("POST", server.host, None, "error", "connection")]


def test_a_body_that_breaks_off_is_an_error_with_the_status_that_came(client, server, calls):
    with pytest.raises((httpx.TransportError, httpx2.TransportError, OSError, aiohttp.ClientError)):
        client.send("GET", server.url + "/cut")
    assert list(map(said, calls)) == [("GET", server.host, 200, "error", "connection")]


def test_a_body_that_cannot_be_decoded_is_an_error(client, server, calls):
    with pytest.raises((httpx.DecodingError, httpx2.DecodingError, OSError, aiohttp.ClientError)):
        client.send("GET", server.url + "/garbled")
    assert [(call.status, call.outcome) for call in calls] == [(200, "error")]


def test_a_stream_that_breaks_off_is_an_error(client, server, calls):
    with pytest.raises((httpx.TransportError, httpx2.TransportError, OSError, aiohttp.ClientError)):
        client.stream(server.url + "/cut", "all")
    assert list(map(said, calls)) == [("GET", server.host, 200, "error", "connection")]


def test_a_url_that_no_client_can_send_to_is_an_error(client, calls):
    with pytest.raises((httpx.TransportError, httpx2.TransportError, OSError, aiohttp.ClientError)):
        client.send("GET", "gopher://a.example/")
    assert [(call.method, call.status, call.outcome) for call in calls] == [("GET", None, "error")]


def test_a_request_without_an_answer_is_counted_under_the_status_unknown(client, server):
    registry = CollectorRegistry()
    dispatch.install(dispatch.Pipeline([PrometheusSink(registry)]))
    with suppress(Exception):
        client.send("GET", server.url + "/silent", timeout=0.05)
    labels = {"method": "GET", "host": server.host}
    count = registry.get_sample_value("http_client_requests_total", {**labels, "status": "unknown"})
    seconds = registry.get_sample_value("http_client_request_duration_seconds_count", labels)
    assert (count, seconds) == (1, 1)


# --- streams


def test_a_stream_is_read_to_its_end(client, server, calls):
    assert client.stream(server.url + "/chunks", "all") == len(PART) * PARTS
    assert list(map(said, calls)) == [("GET", server.host, 200, "ok", None)]


def test_a_stream_that_is_closed_early_is_cancelled(client, server, calls):
    assert client.stream(server.url + "/chunks?stall=1", "close") == 1000
    assert list(map(said, calls)) == [("GET", server.host, 200, "cancelled", "cancelled")]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # aiohttp's warning
def test_a_stream_that_is_dropped_is_abandoned(client, server, calls):
    client.stream(server.url + "/chunks?stall=1", "drop")
    gc.collect()
    dispatch.settle()
    assert list(map(said, calls)) == [("GET", server.host, 200, "abandoned", None)]


def test_a_stream_of_events_that_says_it_is_done_is_over(server, calls):
    for library in (httpx, httpx2):
        with library.stream("GET", server.url + "/events") as response:
            assert next(line for line in response.iter_lines() if "DONE" in line)
    with requests.get(server.url + "/events", stream=True) as streamed:
        assert next(line for line in streamed.iter_lines(chunk_size=1) if b"DONE" in line)
    assert [call.outcome for call in calls] == ["ok", "ok", "ok"]


def test_the_consumers_own_time_after_the_last_byte_does_not_count(server, calls, clock):
    with httpx.stream("GET", server.url + "/chunks") as response:
        parts = response.iter_raw()
        total = 0
        while total < len(PART) * PARTS:
            total += len(next(parts))
            clock.move(1)
        read = total
        for _ in parts:
            pass
    (call,) = calls
    assert (read, call.outcome) == (len(PART) * PARTS, "ok")
    assert call.duration == int(call.duration)  # the last second was the consumer's
    assert call.duration < clock._monotonic


def test_an_error_answer_that_is_not_read_is_no_cancellation(server, calls):
    with httpx.stream("GET", server.url + "/status?code=500") as response:
        assert response.status_code == 500
    with requests.get(server.url + "/status?code=404", stream=True) as streamed:
        assert streamed.status_code == 404
    assert [(call.status, call.outcome) for call in calls] == [(500, "error"), (404, "ok")]


def test_an_answer_whose_bytes_all_came_is_whole_when_it_is_closed(server, calls):
    with httpx.stream("GET", server.url + "/ok") as response:
        next(response.iter_raw())
    with requests.get(server.url + "/ok", stream=True) as streamed:
        next(streamed.iter_content(100_000))
    assert [call.outcome for call in calls] == ["ok", "ok"]


def test_what_requests_gives_as_raw_is_followed(server, calls):
    with requests.get(server.url + "/chunks", stream=True) as response:
        assert len(response.raw.read(10)) == 10
        assert not calls
        assert len(response.raw.read()) == len(PART) * PARTS - 10
        assert len(calls) == 1
    with requests.get(server.url + "/ok", stream=True) as response:
        assert response.raw.readinto(bytearray(10)) == 10
        assert response.raw.read(0) == b""
        assert len(calls) == 1
        assert b"".join(response.raw)
        assert len(calls) == 2
    assert [call.outcome for call in calls] == ["ok", "ok"]


def test_aiohttps_content_can_be_read_in_every_way(server, calls):
    async def main() -> list[int]:
        sizes = []
        async with aiohttp.ClientSession() as session:
            async with session.get(server.url + "/chunks") as response:
                sizes.append(sum([len(part) async for part in response.content.iter_any()]))
            async with session.get(server.url + "/chunks") as response:
                sizes.append(sum([len(part) async for part, _ in response.content.iter_chunks()]))
            async with session.get(server.url + "/ok") as response:
                sizes.append(len([line async for line in response.content]))
            async with session.get(server.url + "/ok") as response:
                sizes.append(len(await response.content.readexactly(2)))
                await response.read()
        return sizes

    assert asyncio.run(main()) == [len(PART) * PARTS, len(PART) * PARTS, 1, 2]
    assert [call.outcome for call in calls] == ["ok"] * 4


def test_aiohttps_body_may_be_read_on_after_a_read_was_given_up(server, calls):
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            async with session.get(server.url + "/chunks?stall=1") as response:
                await response.content.readexactly(len(PART))
                with suppress(TimeoutError):
                    await asyncio.wait_for(response.content.read(1), 0.02)
                assert not calls

    asyncio.run(main())
    assert [call.outcome for call in calls] == ["cancelled"]


def test_a_timeout_while_aiohttp_reads_a_body_is_a_timeout(server, calls):
    async def main() -> None:
        timeout = aiohttp.ClientTimeout(total=0.1)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            async with session.get(server.url + "/chunks?stall=1") as response:
                async for _ in response.content.iter_chunked(1000):
                    pass

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert [(call.status, call.outcome, call.error_type) for call in calls] == [
        (200, "error", "timeout")
    ]


# --- many at once, and given up


def test_requests_of_many_threads_are_counted_each(client, server, calls):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.send("GET", server.url + "/ok"), range(24)))
    assert [answer.status for answer in answers] == [200] * 24
    assert [call.outcome for call in calls] == ["ok"] * 24


@ASYNC_HTTPX
def test_a_cancelled_task_is_a_cancelled_request(library, server, calls):
    async def main() -> None:
        async with library.AsyncClient(trust_env=False) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.get(server.url + "/silent"), 0.1)
            async with client.stream("GET", server.url + "/chunks?stall=1") as response:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(response.aread(), 0.1)

    asyncio.run(main())
    assert [(call.status, call.outcome, call.error_type) for call in calls] == [
        (None, "cancelled", "cancelled"),
        (200, "cancelled", "cancelled"),
    ]


def test_a_cancelled_task_is_a_cancelled_request_of_aiohttp(server, calls):
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(session.get(server.url + "/silent"), 0.1)
            response = await session.get(server.url + "/chunks?stall=1")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(response.read(), 0.1)

    asyncio.run(main())
    assert [(call.status, call.outcome, call.error_type) for call in calls] == [
        (None, "cancelled", "cancelled"),
        (200, "cancelled", "cancelled"),
    ]


def test_connections_are_kept_alive(server, calls):
    before = server.connections
    with httpx.Client(trust_env=False) as client, requests.Session() as session:
        for _ in range(3):
            client.get(server.url + "/ok")
            session.get(server.url + "/ok")
            with client.stream("GET", server.url + "/chunks") as response:
                response.read()

    async def main() -> None:
        async with aiohttp.ClientSession() as one:
            for _ in range(3):
                async with one.get(server.url + "/chunks") as answer:
                    await answer.read()

    asyncio.run(main())
    assert (server.connections - before, len(calls)) == (3, 12)


# --- what belongs to what


def test_a_request_inside_an_ai_call_counts_by_itself(client, server, calls):
    with geomon.track_ai("chat") as chat:
        client.send("GET", server.url + "/ok")
        assert chat._notes is None
    assert [(call.kind, call.attempts) for call in calls] == [("client_request", ()), ("ai", ())]


def test_a_meter_does_not_count_requests(server, calls):
    with geomon.meter() as meter:
        with geomon.track_ai("chat"):
            httpx.get(server.url + "/ok", trust_env=False)
    assert (meter.calls, len(calls)) == (1, 2)


def test_a_requests_context_is_what_was_bound_when_it_began(client, server, calls):
    with geomon.bind(request_id="r-1"):
        client.send("GET", server.url + "/ok")
    assert [dict(call.context) for call in calls] == [{"request_id": "r-1"}]


def test_a_request_that_a_sink_makes_is_not_tracked(client, server):
    seen: list[Call] = []

    def sink(call: Call) -> None:
        seen.append(call)
        requests.get(server.url + "/ok")

    dispatch.install(dispatch.Pipeline([sink]))
    with geomon.track_ai("chat"):
        pass
    client.send("GET", server.url + "/ok")
    assert [call.kind for call in seen] == ["ai", "client_request"]


def test_a_request_that_geomon_itself_makes_is_not_tracked(client, server, calls):
    def notify() -> None:
        leave_untracked()
        client.send("GET", server.url + "/ok")

    thread = threading.Thread(target=notify)
    thread.start()
    thread.join()
    assert (len(server.seen), calls) == (1, [])
