"""Wrong uses. Each must be an error: an ignore that is not needed is one itself."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

import geomon


@geomon.track_ai
def tracked(text: str) -> int:
    return len(text)


@geomon.track_ai("chat")
async def tracked_async(text: str) -> int:
    return len(text)


@geomon.bind(request_id="r-1")
def bound(text: str) -> int:
    return len(text)


tracked(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
tracked()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
tracked("a", times=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
wrong: str = tracked("a")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
unused = tracked_async(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
wrong_async: int = tracked_async("a")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
bound(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
geomon.carry(tracked)(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
geomon.carry(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
geomon.track_ai(5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
geomon.track_ai("chat", "gpt-4o")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
geomon.track_ai("chat", model=5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
geomon.track_ai("chat", merge="no")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
geomon.track_ai("chat", modle="gpt-4o")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
geomon.track_ai("chat")("not a function")  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
geomon.track_request()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
geomon.track_request(tracked)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
geomon.track_request("GET")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
geomon.track_request("GET", 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
geomon.bind("r-1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
geomon.bind(user_id="u")(5)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
geomon.configure(CollectorRegistry())  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
geomon.configure(registry=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
geomon.configure(sinks=[5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
geomon.configure(buckets=(1, 2))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
geomon.configure(prices={"m": 5})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]

with geomon.track_request("GET", "/") as request:
    request.status = "200"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]

with geomon.track_ai("chat") as call:
    call.modle = "gpt-4o"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def changes(call: geomon.Call) -> None:
    call.model = "gpt-4o"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
