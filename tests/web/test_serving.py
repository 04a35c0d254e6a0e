"""`serve()`: on which address, to whom, how many at once, and what a forked child makes of it."""

from __future__ import annotations

import select
import socket
import textwrap
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from geomon import losses
from geomon.web import serve, serving
from tests.programs import run, until
from tests.web.asking import get


def test_a_token_is_asked_for_on_every_path(registry: CollectorRegistry) -> None:
    with serve(port=0, token="s3cret") as server:
        refused = [get(server.port, path)[0] for path in ("/metrics", "/health", "/")]
        wrong = get(server.port, "/metrics", Authorization="Bearer other")[0]
        right = get(server.port, "/metrics", Authorization="Bearer s3cret")[0]
    assert (refused, wrong, right) == ([401, 401, 401], 401, 200)


@pytest.mark.parametrize("written", ["bearer aZ0-._~+/==", "BEARER   aZ0-._~+/=="])
def test_the_word_bearer_may_be_written_in_any_case(written: str) -> None:
    with serve(port=0, token="aZ0-._~+/==") as server:
        assert get(server.port, "/health/live", Authorization=written)[0] == 200


@pytest.mark.parametrize(
    "written",
    ["s3cret", "Basic s3cret", "Bearer", "Bearers3cret", "Bearer s3cret x", "t\xf6k"],
)
def test_what_is_no_bearer_token_is_refused(written: str) -> None:
    with serve(port=0, token="s3cret") as server:
        assert get(server.port, "/health/live", Authorization=written)[0] == 401


@pytest.mark.parametrize("host", ["::1", "localhost", "127.0.0.1"])
def test_an_address_may_be_a_name_or_of_ipv6(host: str) -> None:
    with serve(host=host, port=0) as server:
        with socket.create_connection((host, server.port), 20) as asking:
            asking.sendall(b"GET /health/live HTTP/1.0\r\n\r\n")
            assert asking.recv(100).startswith(b"HTTP/1.0 200 OK")


def test_a_taken_port_is_no_error_and_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with serve(port=0) as first, serve(port=first.port) as second:
        assert (first.serving, second.serving, second.port) == (True, False, first.port)
        assert get(second.port, "/health/live")[0] == 200
    assert [one.message for one in caplog.records if one.name == "geomon.web"] == [
        f"port {first.port} is taken; what serves there serves for this process too"
    ]


def test_a_closed_server_answers_no_more_and_can_be_closed_again() -> None:
    server = serve(port=0)
    server.close()
    server.close()
    with socket.socket() as asking:
        assert asking.connect_ex(("127.0.0.1", server.port)) != 0


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"port": "9464"}, TypeError, "write a number, port=9464"),
        ({"port": 70_000}, ValueError, "write a number from 0 to 65535"),
        ({"host": None}, TypeError, 'write an address, host="127.0.0.1"'),
        ({"host": ""}, TypeError, 'write an address, host="127.0.0.1"'),
        ({"token": ""}, ValueError, "or leave it out"),
        ({"token": "tök"}, ValueError, "write letters, digits and"),
        ({"token": "two words"}, ValueError, "write letters, digits and"),
        ({"token": "line\n"}, ValueError, "write letters, digits and"),
        ({"token": b"s3cret"}, ValueError, "write letters, digits and"),
    ],
)
def test_a_wrong_argument_is_an_error_that_says_what_to_write(
    arguments: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        serve(**arguments)


# --- who says nothing, or asks for too much


def test_only_so_many_are_served_at_once() -> None:
    before = threading.active_count()
    with serve(port=0) as server, ExitStack() as stack:
        idle = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 20))
            for _ in range(100)
        ]
        until(lambda: len(select.select(idle, [], [], 1)[0]) == 100 - serving._CONNECTIONS)
        until(lambda: threading.active_count() == before + 1 + serving._CONNECTIONS)
        stack.close()
        until(lambda: threading.active_count() == before + 1)
        assert get(server.port, "/health/live")[0] == 200


def test_who_says_nothing_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serving._Handler, "timeout", 0.05)
    with serve(port=0) as server:
        for said in (b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\nHost:"):
            with socket.create_connection(("127.0.0.1", server.port), 20) as asking:
                asking.sendall(said)
                assert asking.recv(1) == b""
    assert capsys.readouterr().err == ""


def test_a_collector_that_fails_is_a_500_and_a_loss(
    registry: CollectorRegistry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Failing(Collector):
        def collect(self) -> list[Metric]:
            raise RuntimeError("no database")

    registry.register(Failing())
    monkeypatch.setattr(losses, "raising", False)
    before = losses.counts().get(("web", "failed"), 0)
    with serve(port=0) as server:
        assert [get(server.port, "/metrics")[0] for _ in range(2)] == [500, 500]
    assert [one.message for one in caplog.records if "serve()" in one.message] == [
        "geomon lost something (further ones are only counted): "
        "a request to serve() got no answer: RuntimeError"
    ]
    assert losses.counts()["web", "failed"] == before + 2
    assert capsys.readouterr().err == ""


# --- forks

FORKED = """
import stat, warnings
import geomon
from urllib.request import urlopen
warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
def sockets():
    count = 0
    for fd in map(int, os.listdir("/dev/fd")):
        try:
            count += stat.S_ISSOCK(os.fstat(fd).st_mode)
        except OSError:  # the listing's own
            pass
    return count
"""


def test_a_forked_child_leaves_the_port_to_its_parent(tmp_path: Path) -> None:
    code = """
    server = geomon.serve(port=0)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        serving = server.serving
        server.close()
        os._exit(serving)
    server.close()
    with geomon.serve(port=server.port) as again:
        url = f"http://127.0.0.1:{again.port}/health/live"
        print(again.serving, urlopen(url, timeout=20).status)
    os.close(writing)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert run(FORKED + textwrap.dedent(code), tmp_path) == "True 200\n0\n"


def test_a_child_of_a_program_that_forgot_its_server_leaves_it_too(tmp_path: Path) -> None:
    code = """
    geomon.serve(port=0)
    print(sockets(), flush=True)
    if os.fork() == 0:
        print(sockets(), flush=True)
        os._exit(0)
    os.wait()
    """
    assert run(FORKED + textwrap.dedent(code), tmp_path) == "1\n0\n"
