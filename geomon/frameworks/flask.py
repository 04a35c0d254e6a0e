"""Flask: the middleware goes around `wsgi_app`, so that the application stays the same object."""

from __future__ import annotations

from typing import Any

from geomon.frameworks.added import Added, AddedWSGI
from geomon.wsgi import TrackingMiddleware


def instrument(app: Any, added: Added, options: dict[str, Any]) -> Any:
    """Puts the middleware into the application, and gives it back."""
    middleware = TrackingMiddleware(app.wsgi_app, **options)
    if not isinstance(app.wsgi_app, TrackingMiddleware | AddedWSGI):
        app.wsgi_app = middleware
    app.wsgi_app = added.wsgi(app.wsgi_app)
    return app
