"""FastAPI and Starlette: the middleware goes around all others, Starlette's own included.

Inside them it would not see what they answer, nor the 500 that Starlette makes of an exception.
"""

from __future__ import annotations

from typing import Any

from geomon.asgi import TrackingMiddleware
from geomon.frameworks.added import Added

_MARK = "_geomon_instrumented"


def instrument(app: Any, added: Added, options: dict[str, Any]) -> Any:
    """Puts the middleware into the application, which may be serving already, and gives it back."""
    stack = TrackingMiddleware(app, **options)  # checks the options now
    if getattr(app, _MARK, False):
        return app
    setattr(app, _MARK, True)
    if app.middleware_stack is not None:
        stack.app = app.middleware_stack
        app.middleware_stack = added.asgi(stack)
        return app
    build = app.build_middleware_stack

    def built() -> Any:
        stack.app = build()
        return added.asgi(stack)

    app.build_middleware_stack = built
    return app
