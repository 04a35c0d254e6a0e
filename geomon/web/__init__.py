"""What geomon shows over HTTP: metrics and health, as applications and as a server."""

from __future__ import annotations

from geomon.web.apps import health_app, health_wsgi, metrics_app, metrics_wsgi
from geomon.web.serving import Server, serve

__all__ = ["Server", "health_app", "health_wsgi", "metrics_app", "metrics_wsgi", "serve"]
