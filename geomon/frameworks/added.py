"""The paths that were asked for: metrics and health, beside an application and not counted."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from geomon.asgi.paths import below

Applications = dict[str, tuple[str, Any]]
"""By path: where the application at that path stands, and the application."""

_BELOW = {"metrics": ("",), "health": ("", "/live", "/ready")}
_READING = ("GET", "HEAD")


class Added:
    """What is served beside an application.

    Args:
        metrics: The path of the metrics, or None.
        health: The path of the health report, or None.

    Raises:
        TypeError: a path is no string.
        ValueError: it does not begin with a slash, or says nothing more.
    """

    def __init__(self, metrics: str | None, health: str | None) -> None:
        self._paths = {
            name: _checked(name, path)
            for name, path in (("metrics", metrics), ("health", health))
            if path is not None
        }

    def asgi(self, app: Any) -> Any:
        """The ASGI application with the paths."""
        return AddedASGI(app, self._applications("app")) if self._paths else app

    def wsgi(self, app: Any) -> Any:
        """The WSGI application with the paths."""
        return AddedWSGI(app, self._applications("wsgi")) if self._paths else app

    def _applications(self, kind: str) -> Applications:
        web = import_module("geomon.web")
        found = {}
        for name, own in self._paths.items():
            application = getattr(web, f"{name}_{kind}")()
            for rest in _BELOW[name]:
                found[own + rest] = own, application
        return found


class AddedASGI:
    """An ASGI application with others at some paths, where they are read."""

    def __init__(self, app: Any, added: Applications) -> None:
        self.app = app
        self._added = added

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serves one request, WebSocket or lifespan."""
        if scope["type"] == "http" and scope["method"] in _READING:
            root = scope.get("root_path", "")
            path = below(root, scope["path"])
            found = self._added.get(path.rstrip("/"))
            if found is not None:
                own, app = found
                await app({**scope, "root_path": root + own, "path": root + path}, receive, send)
                return
        await self.app(scope, receive, send)


class AddedWSGI:
    """A WSGI application with others at some paths, where they are read."""

    def __init__(self, app: Any, added: Applications) -> None:
        self.app = app
        self._added = added

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Serves one request."""
        path = environ.get("PATH_INFO", "")
        found = self._added.get(path.rstrip("/"))
        if found is None or environ.get("REQUEST_METHOD") not in _READING:
            return self.app(environ, start_response)
        own, app = found
        root = environ.get("SCRIPT_NAME", "") + own
        inner = {**environ, "SCRIPT_NAME": root, "PATH_INFO": path.removeprefix(own)}
        return app(inner, start_response)


def _checked(name: str, path: Any) -> str:
    if not isinstance(path, str):
        raise TypeError(f'{name}={path!r}: write a path, {name}="/{name}"')
    if not path.startswith("/") or path == "/":
        raise ValueError(f'{name}={path!r} is no path of its own: write {name}="/{name}"')
    return path.rstrip("/")
