"""WebSockets, server-sent events and lifespans: FastAPI and Starlette under a real uvicorn."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.incoming.test_servers import ROOT, Running, free_port, serving
from tests.programs import environment, until

UVICORN = """
import sys, uvicorn
from geomon.logs import setup
setup(console=True, log_dir=None)
uvicorn.run(f"tests.incoming.sockets:{sys.argv[1]}", port=int(sys.argv[2]), log_config=None)
"""
PATIENCE = 60  # seconds until a program counts as hanging
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
FRAMES = {
    "text": "grüße \x00 \U0001f600",
    "bytes": bytes(range(256)),
    "no text": "",
    "no bytes": b"",
    "large text": "ß" * 500_000,
    "large bytes": bytes(range(256)) * 4_000,
}


@contextmanager
def uvicorn(app: str, directory: Path) -> Iterator[Running]:
    port = free_port()
    with serving(["-c", UVICORN, app, str(port)], port, directory / "log") as running:
        yield running


@pytest.fixture(scope="module", params=["fastapi_app", "starlette_app"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with uvicorn(request.param, tmp_path_factory.mktemp("uvicorn")) as running:
        yield running


def opened(site: Running, path: str, **options: Any) -> ClientConnection:
    url = site.url.replace("http:", "ws:") + path
    options = {"open_timeout": PATIENCE, "proxy": None, "max_size": None, **options}
    socket: ClientConnection = connect(url, **options)
    return socket


def named(request_id: str, **more: str) -> dict[str, str]:
    return {"X-Request-ID": request_id, **more}


def closing(socket: ClientConnection) -> tuple[int, str]:
    """The code and the reason with which the server ends a socket; 1006: it says nothing."""
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(PATIENCE)
    received = closed.value.rcvd
    return (1006, "") if received is None else (received.code, received.reason)


def refusal(site: Running, path: str, **options: Any) -> Any:
    """The response with which the server refuses a socket."""
    with pytest.raises(InvalidStatus) as refused, opened(site, path, **options):
        pass
    return refused.value.response


def state(site: Running) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{site.url}/state").json()
    return found


def settle(site: Running) -> None:
    """Waits until the server has written what it had to say until now."""
    mark = uuid.uuid4().hex
    httpx.get(f"{site.url}/context", headers=named(mark))
    until(lambda: site.records(request_id=mark))


def samples(site: Running, name: str, **labels: str) -> dict[tuple[str, ...], float]:
    """The values of a metric, by those of its labels that are not asked for."""
    text = httpx.get(f"{site.url}/metrics", follow_redirects=True).text
    return {
        tuple(value for key, value in sorted(one.labels.items()) if key not in labels): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
        if one.name == name and labels.items() <= one.labels.items()
    }


def counted(site: Running, endpoint: str) -> dict[tuple[str, ...], float]:
    """How many requests of an endpoint were counted, by method and status."""
    return samples(site, "http_requests_total", endpoint=endpoint)


# --- frames


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_message_comes_back_unchanged(site: Running, frame: str | bytes) -> None:
    with opened(site, "/echo/unchanged") as socket:
        socket.send(frame)
        assert (socket.recv(PATIENCE) == frame) is True


def test_many_messages_come_back_in_their_order(site: Running) -> None:
    sent = [f"{number}" if number % 2 else f"{number}".encode() for number in range(1_000)]
    with opened(site, "/echo/order") as socket:
        for one in sent:
            socket.send(one)
        assert [socket.recv(PATIENCE) for _ in sent] == sent


def test_a_message_in_fragments_comes_back_whole(site: Running) -> None:
    with opened(site, "/echo/fragments") as socket:
        socket.send(["one ", "two ", "three"])
        assert socket.recv(PATIENCE) == "one two three"


def test_a_ping_is_answered(site: Running) -> None:
    with opened(site, "/echo/ping") as socket:
        assert socket.ping().wait(PATIENCE)


# --- beginnings and ends


def test_what_a_socket_is_accepted_with_is_the_applications_own(site: Running) -> None:
    options = {"subprotocols": ["first", "second"], "additional_headers": named("own-1")}
    with opened(site, "/chosen", **options) as socket:
        assert socket.response is not None
        assert (socket.subprotocol, socket.response.headers["x-own"]) == ("second", "yes")
        assert "x-request-id" not in socket.response.headers


def test_the_servers_close_code_reaches_the_client(site: Running) -> None:
    with opened(site, "/chosen", subprotocols=["second"]) as socket:
        assert closing(socket) == (4001, "full")


def test_the_clients_close_code_reaches_the_application(site: Running) -> None:
    with opened(site, "/echo/closed") as socket:
        socket.close(4002, "enough")
    until(lambda: "closed" in state(site)["left"])
    assert state(site)["left"]["closed"] == [4002, "enough"]


def test_a_client_that_vanishes_without_a_word_is_no_error(site: Running) -> None:
    with opened(site, "/echo/gone", additional_headers=named("gone-1")) as socket:
        socket.send("here")
        socket.recv(PATIENCE)
        socket.socket.shutdown(2)
    until(lambda: "gone" in state(site)["left"])
    assert state(site)["left"]["gone"][0] in (1005, 1006)  # uvicorn's two implementations
    settle(site)
    assert [one for one in site.records(request_id="gone-1") if one["level"] != "INFO"] == []


def test_a_refusal_before_the_socket_is_accepted_is_403(site: Running) -> None:
    assert refusal(site, "/refused").status_code == 403


def test_a_path_without_a_socket_is_403(site: Running) -> None:
    assert refusal(site, "/nowhere").status_code == 403


def test_a_response_instead_of_a_socket_is_the_applications_own(site: Running) -> None:
    response = refusal(site, "/denied", additional_headers=named("denied-1"))
    assert (response.status_code, response.body) == (401, b"who?")
    assert response.headers["x-own"] == "yes"
    assert "x-request-id" not in response.headers


def test_an_exception_before_the_socket_is_accepted_is_500(site: Running) -> None:
    assert refusal(site, "/boom/early").status_code == 500


def test_an_exception_in_a_socket_closes_it_with_an_error(site: Running) -> None:
    with opened(site, "/boom/late") as socket:
        assert closing(socket)[0] in (1006, 1011)  # the server's choice


@pytest.mark.parametrize("when", ["early", "late"])
def test_an_exception_in_a_socket_is_logged_once_with_its_id(site: Running, when: str) -> None:
    with pytest.raises((InvalidStatus, ConnectionClosed)):
        with opened(site, f"/boom/{when}", additional_headers=named(f"boom-{when}")) as socket:
            socket.recv(PATIENCE)
    settle(site)
    tracebacks = [one for one in site.records(request_id=f"boom-{when}") if "exception" in one]
    assert [(one["logger"], one["message"]) for one in tracebacks] == [
        ("geomon.http", "unhandled exception in WEBSOCKET /boom/{when}")
    ]
    without_id = [one for one in site.records() if "exception" in one and "request_id" not in one]
    assert without_id == []


# --- context


def test_what_is_bound_at_the_handshake_stays_for_the_whole_socket(site: Running) -> None:
    headers = named("whole-1", **{"X-User": "u-7", "traceparent": f"00-{TRACE}-{SPAN}-01"})
    heard = []
    with opened(site, "/told", additional_headers=headers) as socket:
        for word in ("early", "late"):
            socket.send(word)
            heard.append(json.loads(socket.recv(PATIENCE)))
    expected = {"request_id": "whole-1", "user_id": "u-7", "trace_id": TRACE, "span_id": SPAN}
    assert heard == [expected, expected]


def test_a_socket_without_an_id_gets_one(site: Running) -> None:
    with opened(site, "/told", additional_headers=named("not well formed")) as socket:
        socket.send("which")
        bound = json.loads(socket.recv(PATIENCE))
    assert bound.keys() == {"request_id"}
    assert len(bound["request_id"]) == 32


def test_a_record_that_is_written_in_a_socket_has_its_id(site: Running) -> None:
    with opened(site, "/told", additional_headers=named("record-1")) as socket:
        socket.send("written")
        socket.recv(PATIENCE)
    until(lambda: site.records(message="written"))
    assert [one["request_id"] for one in site.records(message="written")] == ["record-1"]


def test_sockets_and_requests_at_once_keep_their_own_ids(site: Running) -> None:
    heard = []
    with (
        opened(site, "/told", additional_headers=named("one", **{"X-User": "u-1"})) as one,
        opened(site, "/told", additional_headers=named("two")) as two,
    ):
        for _ in range(3):
            for socket in (one, two):
                socket.send("which")
                heard.append(json.loads(socket.recv(PATIENCE)))
            heard.append(httpx.get(f"{site.url}/context", headers=named("three")).json())
    first = {"request_id": "one", "user_id": "u-1"}
    assert heard == [first, {"request_id": "two"}, {"request_id": "three"}] * 3


@pytest.mark.parametrize("path", ["/echo/after", "/refused", "/boom/late"])
def test_nothing_stays_bound_after_a_socket(site: Running, path: str) -> None:
    with suppress(InvalidStatus), opened(site, path, additional_headers=named("after-1")):
        pass
    until(lambda: site.records(message=f"after {path}"))
    assert [one for one in site.records(message=f"after {path}") if "request_id" in one] == []


def test_nothing_of_a_socket_stays_for_the_next_request(site: Running) -> None:
    headers = named("before", **{"X-User": "u-1"})
    refusal(site, "/refused", additional_headers=headers)
    with opened(site, "/told", additional_headers=headers) as socket:
        socket.send("which")
        socket.recv(PATIENCE)
    bound = httpx.get(f"{site.url}/context").json()
    assert bound.keys() == {"request_id"}
    assert bound["request_id"] != "before"


# --- counting


def test_a_socket_is_not_counted_as_a_request(site: Running) -> None:
    before = samples(site, "http_requests_total")
    with opened(site, "/echo/uncounted", additional_headers=named("uncounted-1")) as socket:
        socket.send("here")
        socket.recv(PATIENCE)
    refusal(site, "/refused", additional_headers=named("uncounted-1"))
    refusal(site, "/nowhere", additional_headers=named("uncounted-1"))
    until(lambda: "uncounted" in state(site)["left"])
    after = samples(site, "http_requests_total")
    assert {key for key in after if after[key] != before.get(key)} <= {("/state", "GET", "200")}
    settle(site)
    assert site.records(request_id="uncounted-1", logger="geomon.http") == []


def test_an_open_socket_is_no_request_in_progress(site: Running) -> None:
    with opened(site, "/echo/open") as socket:
        socket.send("here")
        socket.recv(PATIENCE)
        assert not any(samples(site, "http_requests_in_progress").values())


# --- server-sent events


def data(lines: Iterator[str]) -> str:
    return next(line for line in lines if line.startswith("data: "))


def test_an_event_arrives_before_the_next_is_made(site: Running) -> None:
    with httpx.stream("GET", f"{site.url}/events/apart", timeout=PATIENCE) as response:
        lines = response.iter_lines()
        assert (data(lines), state(site)["made"]["apart"]) == ("data: first", ["first"])
        httpx.get(f"{site.url}/go/apart")
        assert [line for line in lines if line] == ["data: last"]
    assert state(site)["made"]["apart"] == ["first", "last"]


def test_a_stream_of_events_is_counted_at_its_last_byte(site: Running) -> None:
    before = counted(site, "/events/{key}").get(("GET", "200"), 0)
    with httpx.stream("GET", f"{site.url}/events/counted", timeout=PATIENCE) as response:
        lines = response.iter_lines()
        data(lines)
        assert counted(site, "/events/{key}").get(("GET", "200"), 0) == before
        assert samples(site, "http_requests_in_progress") == {("GET",): 1}
        httpx.get(f"{site.url}/go/counted")
        assert [line for line in lines if line] == ["data: last"]
    assert counted(site, "/events/{key}")[("GET", "200")] == before + 1
    assert samples(site, "http_requests_in_progress") == {("GET",): 0}


def test_a_client_that_leaves_a_stream_of_events_is_counted_as_499(site: Running) -> None:
    before = counted(site, "/events/{key}")
    with httpx.stream("GET", f"{site.url}/events/left", headers=named("left-1")) as response:
        data(response.iter_lines())
    until(lambda: counted(site, "/events/{key}") != before)
    assert counted(site, "/events/{key}") == {
        **before,
        ("GET", "499"): before.get(("GET", "499"), 0) + 1,
    }
    assert state(site)["made"]["left"] == ["first"]
    settle(site)
    assert [one for one in site.records(request_id="left-1") if "exception" in one] == []


# --- lifespan


@pytest.mark.parametrize("app", ["fastapi_app", "starlette_app"])
def test_a_lifespan_begins_and_ends_with_the_server(app: str, tmp_path: Path) -> None:
    with uvicorn(app, tmp_path) as running:
        until(lambda: running.records(logger="site"))
        assert [one["message"] for one in running.records(logger="site")] == ["started"]
        assert state(running)["pool"] == "open"
    assert [one["message"] for one in running.records(logger="site")] == ["started", "stopped"]


def unstarted(app: str) -> tuple[int, str]:
    """The status with which a server ends that cannot start, and what it wrote."""
    done = subprocess.run(
        [sys.executable, "-c", UVICORN, app, str(free_port())],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("app", ["failing_fastapi_app", "failing_starlette_app", "failed_app"])
def test_a_start_that_fails_stays_a_start_that_fails(app: str) -> None:
    status, log = unstarted(app)
    records = [json.loads(line) for line in log.splitlines()]
    assert status == 3
    assert records[-1]["message"] == "Application startup failed. Exiting."
    told = [one for one in records if "no database" in json.dumps(one)]
    assert [(one["logger"], one["level"]) for one in told] == [("uvicorn.error", "ERROR")]


def test_an_application_without_a_lifespan_is_served(tmp_path: Path) -> None:
    with uvicorn("bare_app", tmp_path) as running:
        assert httpx.get(running.url).text == "served"
