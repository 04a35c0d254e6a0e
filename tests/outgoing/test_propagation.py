"""Request id and trace go to hosts on the allow list, and to no others."""

from __future__ import annotations

import re

import httpx
import httpx2
import pytest
import requests

import geomon
from geomon.clients import hosts
from geomon.clients.hosts import Hosts
from tests.outgoing.clients import Client
from tests.outgoing.server import Server

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
OWN = ("x-request-id", "traceparent")


def handed_on(server: Server) -> list[dict[str, str]]:
    return [{name: headers[name] for name in OWN if name in headers} for _, headers in server.seen]


def test_request_id_and_trace_are_handed_on_to_a_host_on_the_list(client, server, calls):
    geomon.instrument(propagate=["127.0.0.1"])
    with geomon.bind(request_id="r-1", trace_id=TRACE, span_id=SPAN):
        client.send("GET", server.url + "/ok")
    ((call), (sent,)) = calls[0], handed_on(server)
    version, trace, span, flags = sent["traceparent"].split("-")
    assert (sent["x-request-id"], version, trace, flags) == ("r-1", "00", TRACE, "01")
    assert re.fullmatch("(?!0{16})[0-9a-f]{16}", span)
    assert span != SPAN
    assert (call.trace_id, call.span_id) == (TRACE, span)


def test_nothing_is_handed_on_to_another_host(client, server, calls):
    geomon.instrument(propagate=["localhost", "*.example.com"])
    with geomon.bind(request_id="r-1", trace_id=TRACE, span_id=SPAN):
        client.send("GET", server.url + "/ok")
    assert handed_on(server) == [{}]
    assert (calls[0].trace_id, calls[0].span_id) == (TRACE, SPAN)


def test_nothing_is_handed_on_unless_it_was_asked_for(client, server, calls):
    geomon.instrument()
    with geomon.bind(request_id="r-1", trace_id=TRACE, span_id=SPAN):
        client.send("GET", server.url + "/ok")
    assert handed_on(server) == [{}]


def test_nothing_goes_along_with_a_redirect_to_another_host(client, server):
    geomon.instrument(propagate=["127.0.0.1"])
    with geomon.bind(request_id="r-1", trace_id=TRACE, span_id=SPAN):
        client.send("GET", f"{server.url}/redirect?to={server.other_url}/ok")
    first, second = handed_on(server)
    assert (sorted(first), second) == (["traceparent", "x-request-id"], {})


def test_a_redirect_to_a_host_on_the_list_is_a_span_of_its_own(client, server, calls):
    geomon.instrument(propagate=["127.0.0.1"])
    with geomon.bind(request_id="r-1", trace_id=TRACE):
        client.send("GET", f"{server.url}/redirect?to=/ok")
    first, second = (headers["traceparent"] for headers in handed_on(server))
    assert first != second
    assert [call.span_id for call in calls] == [first.split("-")[2], second.split("-")[2]]


def test_what_the_program_set_itself_stays(client, server, calls):
    geomon.instrument(propagate=["*"])
    with geomon.bind(request_id="r-1", trace_id=TRACE):
        client.send("GET", server.url + "/ok", headers={"x-request-ID": "own"})
        client.send("GET", server.url + "/ok", headers={"Traceparent": "own"})
    first, second = handed_on(server)
    assert (first["x-request-id"], sorted(first)) == ("own", ["traceparent", "x-request-id"])
    assert second == {"traceparent": "own", "x-request-id": "r-1"}


@pytest.mark.parametrize(
    "bound",
    [
        {"request_id": "a b"},
        {"request_id": "r\r\nX-Evil: 1"},
        {"request_id": "x" * 129},
        {"request_id": "ü"},
        {"request_id": 7},
        {"trace_id": "0" * 32},
        {"trace_id": TRACE.upper()},
        {"trace_id": TRACE + "\n"},
        {"span_id": SPAN},
        {},
    ],
)
def test_what_is_not_well_formed_is_not_handed_on(server, bound):
    geomon.instrument("requests", propagate=["*"])
    with geomon.bind(**bound):
        requests.get(server.url + "/ok")
    assert handed_on(server) == [{}]


def test_the_flags_of_a_trace_go_along(server):
    geomon.instrument("httpx", propagate=["*"])
    came = f"00-{TRACE}-{SPAN}-00"
    with geomon.bind(trace_id=TRACE, span_id=SPAN, traceparent=came):
        httpx.get(server.url + "/ok", trust_env=False)
    with geomon.bind(trace_id=TRACE, span_id=SPAN, trace_flags="02"):
        httpx.get(server.url + "/ok", trust_env=False)
    assert [sent["traceparent"][-3:] for sent in handed_on(server)] == ["-00", "-02"]


def test_an_excluded_host_is_left_alone(client, server, calls):
    geomon.instrument(propagate=["*"], exclude=["127.0.0.1"])
    with geomon.bind(request_id="r-1"):
        client.send("GET", server.url + "/ok")
        client.send("GET", f"{server.other_url}/redirect?to={server.url}/ok")
    assert handed_on(server) == [{}, {"x-request-id": "r-1"}, {}]
    assert [(call.host, call.status) for call in calls] == [
        (server.other_url.removeprefix("http://"), 302)
    ]


def test_the_programs_own_request_is_not_changed(server):
    geomon.instrument(propagate=["*"])
    for library in (httpx, httpx2):
        with library.Client(trust_env=False) as client, geomon.bind(request_id="r-1"):
            request = client.build_request("POST", server.url + "/ok", content=b"body")
            before = list(request.headers.raw)
            response = client.send(request)
        assert list(request.headers.raw) == before
        assert response.request.headers["x-request-id"] == "r-1"
    prepared = requests.Request("POST", server.url + "/ok", data=b"body").prepare()
    with requests.Session() as session, geomon.bind(request_id="r-1"):
        answer = session.send(prepared)
    assert "x-request-id" not in prepared.headers
    assert answer.request.headers["x-request-id"] == "r-1"
    assert [headers["content-length"] for _, headers in server.seen] == ["4"] * 3


# --- the list


def test_an_allow_list_knows_names_addresses_and_what_is_below_a_name():
    allowed = Hosts(
        ["API.internal", "*.example.com", "10.0.0.1", "::1", "bücher.example."], "propagate"
    )
    for host in (
        "api.internal",
        "api.internal.",
        "a.example.com",
        "a.b.example.com",
        "10.0.0.1",
        "[::1]",
        "xn--bcher-kva.example",
    ):
        assert host in allowed, host
    for host in (
        "example.com",
        "evil-example.com",
        "example.com.evil",
        "api.internal.evil",
        "xapi.internal",
        "10.0.0.10",
        "",
    ):
        assert host not in allowed, host


@pytest.mark.parametrize("hosts", ["api.internal", b"api.internal", 7, None, [7]])
@pytest.mark.parametrize("option", ["propagate", "exclude"])
def test_a_list_of_hosts_is_a_list_of_names(option, hosts):
    with pytest.raises(TypeError, match=rf'^{option}=.*api\.internal"?'):
        geomon.instrument("httpx", **{option: hosts})


@pytest.mark.parametrize(
    "host",
    ["", "https://api.internal", "api.internal:80", "a/b", "user@host", "*.*", "a*.com", "*."],
)
def test_an_allow_list_takes_no_urls_and_ports(host):
    with pytest.raises(ValueError, match="without scheme, port and path"):
        geomon.instrument("httpx", propagate=[host])


# --- the label


@pytest.mark.parametrize(
    ("url", "host", "label"),
    [
        ("https://API.example.com", "api.example.com", "api.example.com"),
        ("https://api.example.com:443", "api.example.com", "api.example.com"),
        ("http://api.example.com:443", "api.example.com", "api.example.com:443"),
        ("https://user:secret@api.example.com:8443", "api.example.com", "api.example.com:8443"),
        ("http://[::1]:80", "::1", "[::1]"),
        ("http://[::1]:8080", "::1", "[::1]:8080"),
        ("http://bücher.example", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("http://", "", None),
    ],
)
def test_a_host_is_its_name_and_the_port_where_it_is_not_the_usual(url, host, label):
    assert hosts.split(url) == (host, label)


def test_the_label_has_no_credentials_and_no_path(client: Client, server: Server, calls):
    geomon.instrument()
    client.send("GET", server.url.replace("//", "//user:secret@") + "/ok?key=secret#part")
    assert [call.host for call in calls] == [server.host]


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_httpx_gives_the_same_labels(library, calls):
    geomon.instrument()
    transport = library.MockTransport(lambda request: library.Response(200))
    urls = ["https://BÜCHER.example:443/x", "http://[::1]:8080", "https://u:p@a.example:8443/"]
    with library.Client(transport=transport) as client:
        for url in urls:
            client.get(url)
    assert [call.host for call in calls] == [
        "xn--bcher-kva.example",
        "[::1]:8080",
        "a.example:8443",
    ]
