"""`instrument`: by name, by client, bare; what it leaves as it was, and how it is undone."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
import subprocess
import sys
import threading
import traceback
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests
from aiohttp import web
from aiohttp.test_utils import TestServer
from starlette.applications import Starlette

import geomon
from geomon import dispatch, losses
from geomon.clients import LIBRARIES
from geomon.testing import contained_failures
from tests.outgoing.clients import Client
from tests.outgoing.server import PART, PARTS, Server

FUNCTIONS = {
    (httpx.Client, "_send_single_request"),
    (httpx.AsyncClient, "_send_single_request"),
    (httpx2.Client, "_send_single_request"),
    (httpx2.AsyncClient, "_send_single_request"),
    (requests.Session, "send"),
    (aiohttp.ClientSession, "_request"),
}


def functions() -> dict[Any, Any]:
    return {(owner, name): vars(owner)[name] for owner, name in FUNCTIONS}


def run(program: str, *, fails: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode != 0) is fails, done.stderr
    return (done.stderr if fails else done.stdout).strip()


# --- by name


def test_bare_it_instruments_what_is_installed(client: Client, server: Server, calls):
    with geomon.instrument() as handle:
        client.send("GET", server.url + "/ok")
    assert handle.targets == tuple(LIBRARIES)
    assert len(calls) == 1


def test_by_name_it_instruments_that_library_only(server, calls):
    with geomon.instrument("requests") as handle:
        requests.get(server.url + "/ok")
        httpx.get(server.url + "/ok", trust_env=False)
    assert (handle.targets, len(calls)) == (("requests",), 1)


def test_closing_restores_exactly(server, calls):
    before = functions()
    handle = geomon.instrument()
    assert all(now is not before[key] for key, now in functions().items())
    handle.close()
    handle.close()
    assert functions() == before
    requests.get(server.url + "/ok")
    assert not calls


def test_instrumenting_twice_counts_once(client, server, calls):
    geomon.instrument()
    geomon.instrument(client.library)
    client.send("GET", server.url + "/ok")
    assert len(calls) == 1


def test_each_handle_is_closed_by_itself(server, calls):
    before = functions()
    first, second = geomon.instrument("requests"), geomon.instrument("requests")
    first.close()
    requests.get(server.url + "/ok")
    second.close()
    requests.get(server.url + "/ok")
    assert (len(calls), functions()) == (1, before)


def test_the_options_of_the_last_time_hold(server):
    geomon.instrument("requests")
    with geomon.bind(request_id="r-1"):
        with geomon.instrument("requests", propagate=["*"]):
            requests.get(server.url + "/ok")
        requests.get(server.url + "/ok")
    assert ["x-request-id" in headers for _, headers in server.seen] == [True, False]


def test_uninstrument_undoes_all_that_was_asked_for(server, calls):
    before = functions()
    geomon.instrument()
    geomon.instrument("requests")
    session = requests.Session()
    geomon.instrument(session)
    geomon.uninstrument("httpx", "requests")
    assert vars(requests.Session)["send"] is before[requests.Session, "send"]
    assert functions() != before
    geomon.uninstrument()
    session.get(server.url + "/ok")
    assert (functions(), calls, "send" in vars(session)) == (before, [], False)


def test_clients_made_before_are_followed(server, calls):
    session, client = requests.Session(), httpx.Client(trust_env=False)
    geomon.instrument()
    session.get(server.url + "/ok")
    client.get(server.url + "/ok")
    client.close()
    assert len(calls) == 2


def test_subclasses_are_followed(server, calls):
    class Session(requests.Session):
        def send(self, request: Any, **kwargs: Any) -> Any:
            request.headers["x-mine"] = "1"
            return super().send(request, **kwargs)

        def get_adapter(self, url: Any) -> Any:
            return super().get_adapter(url)

    session = Session()
    for target in ("requests", session):
        with geomon.instrument(target):
            assert session.get(server.url + "/redirect?to=/ok").status_code == 200
    assert [call.status for call in calls] == [302, 200] * 2
    assert all(headers["x-mine"] == "1" for _, headers in server.seen)


def test_someone_elses_patch_on_top_stays_and_calls_pass_through(server, calls, monkeypatch):
    handle = geomon.instrument("requests")
    ours = vars(requests.Session)["send"]

    def theirs(self: Any, request: Any, **kwargs: Any) -> Any:
        return ours(self, request, **kwargs)

    monkeypatch.setattr(requests.Session, "send", theirs)
    handle.close()
    assert vars(requests.Session)["send"] is theirs
    requests.get(server.url + "/ok")
    assert not calls
    with geomon.instrument("requests"):
        requests.get(server.url + "/ok")
    assert (len(calls), vars(requests.Session)["send"]) == (1, theirs)


def test_many_threads_may_instrument_at_once(server, calls):
    before = functions()

    def turn() -> None:
        for _ in range(50):
            with geomon.instrument("requests", "httpx"):
                pass

    threads = [threading.Thread(target=turn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert functions() == before


def test_httpx_under_two_names_is_counted_once():
    program = (
        "import httpx2; httpx2._alias.alias_httpx()\n"
        "import httpx, geomon; from geomon.testing import capture_calls\n"
        "with geomon.instrument('httpx', 'httpx2'), capture_calls(only=True) as calls:\n"
        "    mock = httpx.MockTransport(lambda request: httpx.Response(200))\n"
        "    httpx.Client(transport=mock).get('http://a.example')\n"
        "print(httpx is httpx2, len(calls))"
    )
    assert run(program) == "True 1"


# --- not imported, not installed, not known


def test_a_library_is_not_imported_and_instrumented_once_it_is(server):
    program = (
        "import sys, geomon\n"
        "from geomon.testing import capture_calls\n"
        "handle = geomon.instrument()\n"
        "print([name for name in handle.targets if name in sys.modules])\n"
        "import requests\n"
        f"with capture_calls(only=True) as calls: requests.get('{server.url}/ok')\n"
        "handle.close()\n"
        "import httpx\n"
        f"with capture_calls(only=True) as more: httpx.get('{server.url}/ok', trust_env=False)\n"
        "print(len(calls), len(more))"
    )
    assert run(program).splitlines() == ["[]", "1 0"]


def test_a_library_that_is_imported_by_many_threads_at_once_is_instrumented(server):
    program = (
        "import threading, geomon, importlib\n"
        "from geomon.testing import capture_calls\n"
        "threads = [threading.Thread(target=importlib.import_module, args=['httpx'])\n"
        "           for _ in range(4)]\n"
        "more = [threading.Thread(target=geomon.instrument, args=['httpx']) for _ in range(4)]\n"
        "for thread in threads + more: thread.start()\n"
        "for thread in threads + more: thread.join()\n"
        "import httpx\n"
        f"with capture_calls(only=True) as calls: httpx.get('{server.url}/ok', trust_env=False)\n"
        "print(len(calls))"
    )
    assert run(program) == "1"


def test_a_library_that_is_missing_is_left_out_or_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "requests", None)
    assert "requests" not in geomon.instrument().targets
    with pytest.raises(ModuleNotFoundError, match="pip install requests"):
        geomon.instrument("httpx", "requests")


def test_a_name_that_is_not_known_is_an_error_that_says_which_are():
    with pytest.raises(ValueError, match='"aiohttp", "httpx", "httpx2", "requests"'):
        geomon.instrument("httpx3")
    with pytest.raises(ValueError, match='"aiohttp", "httpx", "httpx2", "requests"'):
        geomon.uninstrument("httpx3")


@pytest.mark.parametrize(("target", "what"), [(httpx, "a module"), (httpx.Client, "a class")])
def test_a_module_or_class_is_an_error_that_says_what_to_write(target, what):
    with pytest.raises(TypeError, match=rf'{what}: write a library\'s name.*instrument\("httpx"\)'):
        geomon.instrument(target)


def test_an_option_that_clients_do_not_have_is_an_error():
    with pytest.raises(TypeError, match=r"exclude=\[\.\.\.\], not metrics"):
        geomon.instrument("httpx", metrics="/metrics")


def test_an_app_is_given_back():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Answers nothing."""

    starlette = Starlette()
    assert geomon.instrument(starlette) is starlette
    assert geomon.instrument(app) is not app
    with pytest.raises(TypeError, match="application"):
        geomon.instrument(7)


def test_an_app_stands_by_itself():
    with pytest.raises(TypeError, match="one app by itself"):
        geomon.instrument("httpx", object())


def test_a_version_that_is_not_known_is_said(monkeypatch):
    monkeypatch.delattr(httpx.Client, "_send_single_request")
    with pytest.raises(RuntimeError, match="cannot instrument this version of httpx"):
        geomon.instrument("httpx")
    with contained_failures():
        before = losses.counts().get(("clients", "setup_failed"), 0)
        geomon.instrument()
        assert losses.counts()["clients", "setup_failed"] == before + 1
    geomon.uninstrument()
    monkeypatch.undo()
    assert not hasattr(vars(httpx.AsyncClient)["_send_single_request"], "__wrapped__")


def test_disabled_it_does_nothing(monkeypatch, server):
    monkeypatch.setattr(dispatch, "disabled", True)
    before = functions()
    with geomon.instrument():
        with geomon.instrument(requests.Session()):
            assert functions() == before


# --- one client


def test_one_clients_requests_are_followed_and_no_others(server, calls):
    before = functions()
    mine, other = requests.Session(), requests.Session()
    with geomon.instrument(mine):
        assert functions() == before
        mine.get(server.url + "/redirect?to=/ok")
        other.get(server.url + "/ok")
        assert len(calls) == 2
    assert vars(mine).keys() == vars(other).keys()
    mine.get(server.url + "/ok")
    assert len(calls) == 2


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_one_httpx_client_is_followed(library, server, calls):
    with library.Client(trust_env=False) as client, geomon.instrument(client):
        client.get(server.url + "/ok")

    async def main() -> None:
        async with library.AsyncClient(trust_env=False) as client:
            with geomon.instrument(client):
                await client.get(server.url + "/ok")
            await client.get(server.url + "/ok")

    asyncio.run(main())
    assert len(calls) == 2


def test_one_aiohttp_session_is_followed(server, calls):
    async def main() -> None:
        async with aiohttp.ClientSession() as mine, aiohttp.ClientSession() as other:
            with geomon.instrument(mine):
                for session in (mine, other):
                    async with session.get(server.url + "/ok") as response:
                        await response.read()

    asyncio.run(main())
    assert len(calls) == 1


def test_a_client_that_is_instrumented_by_itself_too_counts_once_with_its_options(server, calls):
    session = requests.Session()
    for order in (("requests", session), (session, "requests")):
        for target in order:
            geomon.instrument(target, propagate=["*"] if target is session else [])
        with geomon.bind(request_id="r-1"):
            session.get(server.url + "/ok")
        geomon.uninstrument()
    assert len(calls) == 2
    assert [headers["x-request-id"] for _, headers in server.seen] == ["r-1", "r-1"]


def test_a_client_can_be_instrumented_again(server, calls):
    session = requests.Session()
    for _ in range(2):
        with geomon.instrument(session), geomon.instrument(session):
            session.get(server.url + "/ok")
    assert len(calls) == 2


def test_sessions_can_be_pickled_and_copied(server, calls):
    session = requests.Session()
    geomon.instrument(session)
    for other in (pickle.loads(pickle.dumps(session)), copy.copy(session), copy.deepcopy(session)):
        assert other.get(server.url + "/ok").status_code == 200
    assert not calls


def test_responses_can_be_pickled(server, calls):
    geomon.instrument()
    for response in (
        requests.get(server.url + "/ok"),
        httpx.get(server.url + "/ok", trust_env=False),
        httpx2.get(server.url + "/ok", trust_env=False),
    ):
        again: Any = pickle.loads(pickle.dumps(response))
        assert (again.status_code, again.content) == (200, response.content)


# --- what stays as it was


def test_signatures_and_kinds_stay():
    before = {key: inspect.signature(function) for key, function in functions().items()}
    kinds = {key: inspect.iscoroutinefunction(value) for key, value in functions().items()}
    geomon.instrument()
    assert {key: inspect.signature(value) for key, value in functions().items()} == before
    assert {key: inspect.iscoroutinefunction(value) for key, value in functions().items()} == kinds


def test_a_traceback_has_one_line_of_geomons(server):
    geomon.instrument("httpx")
    with pytest.raises(httpx.ConnectError) as raised:
        httpx.get("http://127.0.0.1:9/", trust_env=False)
    files = [frame.filename for frame in traceback.extract_tb(raised.tb)]
    assert sum("geomon" in file for file in files) == 1
    assert raised.value.request.url.port == 9


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_mocks_transports_and_hooks_work(library, server, calls):
    geomon.instrument()
    hooked: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b"made"})

    async def main() -> None:
        transport = library.ASGITransport(app)
        async with library.AsyncClient(transport=transport, base_url="http://app") as client:
            assert (await client.get("/")).content == b"made"

    asyncio.run(main())
    mock = library.MockTransport(lambda request: library.Response(200, json={"a": 1}))
    hooks = {"response": [lambda response: hooked.append(response.status_code)]}
    with library.Client(transport=mock, event_hooks=hooks) as client:
        response = client.get("http://mock/")
    assert (response.json(), hooked) == ({"a": 1}, [200])
    assert library.get(server.url + "/ok", trust_env=False).elapsed.total_seconds() > 0
    assert [(call.host, call.status) for call in calls] == [
        ("app", 201),
        ("mock", 200),
        (server.host, 200),
    ]


def test_a_hook_that_raises_for_an_error_answer_is_no_cancellation(server, calls):
    geomon.instrument()
    hooks = {"response": [lambda response: response.raise_for_status()]}
    with httpx.Client(event_hooks=hooks, trust_env=False) as client:
        with pytest.raises(httpx.HTTPStatusError):
            client.get(server.url + "/status?code=404")
    assert [(call.status, call.outcome) for call in calls] == [(404, "ok")]


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_each_round_of_an_authentication_is_a_request(library, calls):
    geomon.instrument()

    def answer(request: Any) -> Any:
        if "authorization" in request.headers:
            return library.Response(200)
        challenge = 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'
        return library.Response(401, headers={"www-authenticate": challenge})

    auth = library.DigestAuth("user", "password")
    with library.Client(transport=library.MockTransport(answer), auth=auth) as client:
        assert client.get("http://a.example/").status_code == 200
    assert [call.status for call in calls] == [401, 200]


def test_adapters_of_any_kind_work(server, calls):
    class Adapter(requests.adapters.BaseAdapter):
        def send(self, request: Any, **kwargs: Any) -> requests.Response:
            response = requests.Response()
            response.status_code, response.url, response.request = 202, request.url, request
            response._content = b"own"
            return response

        def close(self) -> None:
            """Nothing is open."""

    geomon.instrument()
    session = requests.Session()
    session.mount("own://", Adapter())
    assert session.get("own://place/x").content == b"own"
    assert session.get_adapter("own://place/x") is session.adapters["own://"]
    assert [(call.host, call.status, call.outcome) for call in calls] == [("place", 202, "ok")]


def test_retries_inside_an_adapter_are_one_request(server, calls):
    from urllib3.util import Retry

    geomon.instrument()
    session = requests.Session()
    retry = Retry(total=2, status_forcelist=[503], backoff_factor=0, raise_on_status=False)
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
    assert session.get(server.url + "/status?code=503").status_code == 503
    assert (len(server.seen), len(calls)) == (3, 1)


def test_aiohttps_own_middlewares_and_errors_for_a_status_work(server, calls):
    geomon.instrument()
    seen: list[int] = []

    async def middleware(request: Any, handler: Any) -> Any:
        response = await handler(request)
        if response.status == 503:
            response = await handler(request)
        seen.append(response.status)
        return response

    async def main() -> None:
        async with aiohttp.ClientSession(middlewares=[middleware]) as session:
            async with session.get(server.url + "/status?code=503") as response:
                assert response.status == 503
            async with session.get(server.url + "/ok", middlewares=()) as response:
                await response.read()
                assert response.status == 200
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            with pytest.raises(aiohttp.ClientResponseError):
                await session.get(server.url + "/status?code=404")

    asyncio.run(main())
    assert seen == [503]
    assert [(call.status, call.outcome) for call in calls] == [
        (503, "error"),
        (503, "error"),
        (200, "ok"),
        (404, "ok"),
    ]


def test_websockets_pass(calls):
    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    async def main() -> str:
        app = web.Application()
        app.router.add_get("/", echo)
        async with TestServer(app) as server, aiohttp.ClientSession() as session:
            async with session.ws_connect(server.make_url("/")) as socket:
                await socket.send_str("hello")
                answer = await socket.receive_str()
        return answer

    geomon.instrument()
    assert asyncio.run(main()) == "hello"
    assert [(call.method, call.status, call.outcome) for call in calls] == [("GET", 101, "ok")]


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_a_request_ends_where_another_protocol_begins(library, calls):
    class Endless(library.SyncByteStream):  # type: ignore[name-defined,misc]
        def __iter__(self) -> Any:
            raise AssertionError

    geomon.instrument()
    mock = library.MockTransport(lambda request: library.Response(101, stream=Endless()))
    with library.Client(transport=mock) as client:
        with client.stream("GET", "http://a.example/"):
            assert [(call.status, call.outcome) for call in calls] == [(101, "ok")]
    assert len(calls) == 1


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_a_body_that_is_sent_in_parts_arrives(library):
    received: list[bytes] = []

    def answer(request: Any) -> Any:
        received.append(request.read())
        return library.Response(200)

    geomon.instrument(propagate=["*"])
    with library.Client(transport=library.MockTransport(answer)) as client:
        with geomon.bind(request_id="r-1"):
            response = client.post("http://a.example/", content=iter([b"a", b"b"]))
    assert (received, response.request.content) == ([b"ab"], b"ab")


def test_the_host_is_the_servers_and_not_the_proxys(server, calls):
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            async with session.get("http://a.example/ok", proxy=server.url) as response:
                await response.read()

    geomon.instrument()
    asyncio.run(main())
    requests.get("http://a.example/ok", proxies={"http": server.url})
    for library in (httpx, httpx2):
        with library.Client(proxy=server.url) as client:
            client.get("http://a.example/ok")
    assert len(server.seen) == 4
    assert [(call.host, call.status) for call in calls] == [("a.example", 200)] * 4


def test_a_body_that_is_handed_to_another_request_arrives(server, calls):
    async def size(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async def main() -> str:
        app = web.Application(client_max_size=2**20)
        app.router.add_post("/", size)
        async with TestServer(app) as other, aiohttp.ClientSession() as session:
            async with session.get(server.url + "/chunks") as response:
                async with session.post(other.make_url("/"), data=response.content) as answer:
                    return await answer.text()

    geomon.instrument()
    assert asyncio.run(main()) == str(len(PART) * PARTS)
    assert [call.outcome for call in calls] == ["ok", "ok"]


# --- what fails inside stays inside


def test_what_fails_inside_geomon_stays_inside(client, server, monkeypatch):
    def fails(*args: Any) -> Any:
        raise ZeroDivisionError

    geomon.instrument(propagate=["*"])
    with contained_failures():
        for name in ("exchange.begin_call", "propagation.headers"):
            with monkeypatch.context() as patch:
                patch.setattr(f"geomon.clients.{name}", fails)
                before = losses.counts().get(("clients", "failed"), 0)
                assert client.send("GET", server.url + "/ok").status == 200
                assert losses.counts()["clients", "failed"] == before + 1
