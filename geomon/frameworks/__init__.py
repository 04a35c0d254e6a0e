"""Puts the right middleware into an application, whatever framework it is written in."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

from geomon.frameworks import fastapi
from geomon.frameworks.added import Added

App = TypeVar("App")

__all__ = ["fastapi", "instrument_app"]


def instrument_app(
    app: App, *, metrics: str | None = None, health: str | None = None, **options: Any
) -> App:
    """Tracks the requests of an application, and adds `/metrics` and `/health` where asked.

    FastAPI, Starlette and Flask applications are changed in place and given back; a second time
    adds paths, and nothing else. Django handlers and any other ASGI or WSGI callable are wrapped,
    and the wrapper given back.

    Args:
        app: The application.
        metrics: The path where the metrics are read, such as `"/metrics"`; none: nowhere.
        health: The path where the health report is read, `"/health"`, with `/health/live` and
            `/health/ready` below it; none: nowhere. Requests that read them are not counted; other
            methods, and other paths below, are the application's.
        **options: Those of `geomon.asgi.TrackingMiddleware`, which `geomon.wsgi`'s has too.

    Raises:
        TypeError: it is no application, or an option is unknown or has the wrong type.
        ValueError: an option has a value that cannot be.
    """
    added = Added(metrics, health)
    instrumented: Any = _instrumented(app, added, options)
    result: App = instrumented
    return result


def _instrumented(app: Any, added: Added, options: dict[str, Any]) -> Any:
    if _is_a(app, "Starlette", "starlette."):
        return fastapi.instrument(app, added, options)
    if _is_a(app, "Flask", "flask."):
        from geomon.frameworks import flask

        return flask.instrument(app, added, options)
    if _is_a(app, "BaseHandler", "django.core.handlers."):
        from geomon.frameworks import django

        return django.instrument(app, added, options)
    return _wrapped(app, added, options)


def _wrapped(app: Any, added: Added, options: dict[str, Any]) -> Any:
    _check_callable(app)
    if _is_async(app):
        from geomon import asgi

        return added.asgi(asgi.TrackingMiddleware(app, **options))
    if not _takes_two(app):
        raise TypeError(
            f"{app!r} is no application: ASGI's is an async function of (scope, receive, send), "
            "WSGI's a function of (environ, start_response)"
        )
    from geomon import wsgi

    return added.wsgi(wsgi.TrackingMiddleware(app, **options))


def _check_callable(app: Any) -> None:
    if not callable(app) or isinstance(app, type):
        raise TypeError(f"instrument_app takes an ASGI or WSGI application, not {app!r}")


def _is_a(app: Any, name: str, package: str) -> bool:
    """Whether its class is a framework's, which is not imported for that."""
    classes = type(app).__mro__
    return any(cls.__name__ == name and cls.__module__.startswith(package) for cls in classes)


def _is_async(app: Any) -> bool:
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__)


def _takes_two(app: Any) -> bool:
    try:
        inspect.signature(app).bind(None, None)
    except (TypeError, ValueError):
        return False
    return True
