"""A Django site in one module: settings, routes and views."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path

import geomon

ENTRY = "geomon.frameworks.django.TrackingMiddleware"

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        GEOMON={"user_id": lambda request: request.headers.get("x-user")},
        LOGGING_CONFIG=None,
    )
    django.setup()


def item(request: HttpRequest, **given: Any) -> HttpResponse:
    return HttpResponse(geomon.get_context().get("request_id", "none"))


async def item_async(request: HttpRequest, **given: Any) -> HttpResponse:
    await asyncio.sleep(0)
    return HttpResponse(geomon.get_context().get("request_id", "none"))


def boom(request: HttpRequest) -> HttpResponse:
    raise ValueError("broken")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        for _ in range(3):
            yield geomon.get_context().get("request_id", "none")

    return StreamingHttpResponse(parts())


async def stream_async(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[str]:
        for _ in range(3):
            yield geomon.get_context().get("request_id", "none")

    return StreamingHttpResponse(parts())


def stream_broken(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        yield "first"
        raise ValueError("broken")

    return StreamingHttpResponse(parts())


async def stream_broken_async(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[str]:
        yield "first"
        raise ValueError("broken")

    return StreamingHttpResponse(parts())


def refuse(get_response: Any) -> Any:
    def refused(request: HttpRequest) -> HttpResponse:
        return HttpResponse("who are you?", status=401)

    return refused


inner = [path("items/<int:pk>/", item), re_path(r"^old/(?P<pk>\d+)/$", item)]
urlpatterns = [
    path("api/<slug:tenant>/", include(inner)),
    path("async/<int:pk>/", item_async),
    path("boom/", boom),
    path("stream/", stream),
    path("stream-async/", stream_async),
    path("broken/", stream_broken),
    path("broken-async/", stream_broken_async),
]
