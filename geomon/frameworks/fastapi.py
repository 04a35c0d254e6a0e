"""FastAPI and Starlette: the middleware goes around all others, Starlette's own included.

Inside them it would not see what they answer, nor the 500 that Starlette makes of an exception.

    app.include_router(geomon.frameworks.fastapi.router(), dependencies=[Depends(authenticated)])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from geomon.asgi import TrackingMiddleware
from geomon.frameworks.added import Added

if TYPE_CHECKING:
    from fastapi import APIRouter

_MARK = "_geomon_instrumented"


def instrument(app: Any, added: Added, options: dict[str, Any]) -> Any:
    """Puts the middleware into the application, which may be serving already, and gives it back."""
    middleware = TrackingMiddleware(app, **options)  # checks the options now
    if not getattr(app, _MARK, False):
        setattr(app, _MARK, True)
        _surround(app, lambda stack: _leading_to(middleware, stack))
    _surround(app, added.asgi)
    return app


def _leading_to(middleware: Any, stack: Any) -> Any:
    middleware.app = stack
    return middleware


def _surround(app: Any, wrap: Callable[[Any], Any]) -> None:
    """Wraps the stack of middlewares, now or when it is built."""
    if app.middleware_stack is not None:
        app.middleware_stack = wrap(app.middleware_stack)
        return
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: wrap(build())


def router(
    metrics: str | None = "/metrics", health: str | None = "/health", **options: Any
) -> APIRouter:
    """A FastAPI router with the metrics and the health report, for `include_router`.

    Its requests are like the application's own: dependencies hold for them, and they are counted
    unless the middleware leaves them out (`exclude=["/metrics", "/health.*"]`).

    Args:
        metrics: The path of the metrics; None: nowhere.
        health: The path of the health report, with `/live` and `/ready` below it; None: nowhere.
        **options: Those of `fastapi.APIRouter`; `include_in_schema` is False unless given.

    Raises:
        TypeError, ValueError: a path cannot be.
        ImportError: FastAPI is not installed.
    """
    from geomon.frameworks import routes

    Added(metrics, health)  # checks the paths
    return routes.router(metrics, health, options)
