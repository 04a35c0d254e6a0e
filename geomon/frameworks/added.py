"""The paths that were asked for: metrics and health, beside an application and not counted."""

from __future__ import annotations

from importlib import import_module
from typing import Any


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
        if not self._paths:
            return app
        web = import_module("geomon.web")
        return AddedASGI(app, {p: getattr(web, f"{n}_app")() for n, p in self._paths.items()})

    def wsgi(self, app: Any) -> Any:
        """The WSGI application with the paths."""
        if not self._paths:
            return app
        web = import_module("geomon.web")
        return AddedWSGI(app, {p: getattr(web, f"{n}_wsgi")() for n, p in self._paths.items()})


class AddedASGI:
    """An ASGI application with others at some paths, and below them."""

    def __init__(self, app: Any, added: dict[str, Any]) -> None:
        self.app = app
        self._added = added

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serves one request, WebSocket or lifespan."""
        if scope["type"] == "http":
            root = scope.get("root_path", "")
            found = _find(self._added, scope["path"].removeprefix(root))
            if found is not None:
                path, app = found
                inner = {**scope, "root_path": root + path, "app_root_path": root}
                await app(inner, receive, send)
                return
        await self.app(scope, receive, send)


class AddedWSGI:
    """A WSGI application with others at some paths, and below them."""

    def __init__(self, app: Any, added: dict[str, Any]) -> None:
        self.app = app
        self._added = added

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Serves one request."""
        full = environ.get("PATH_INFO", "")
        found = _find(self._added, full)
        if found is None:
            return self.app(environ, start_response)
        path, app = found
        root = environ.get("SCRIPT_NAME", "") + path
        inner = {**environ, "SCRIPT_NAME": root, "PATH_INFO": full.removeprefix(path)}
        return app(inner, start_response)


def _find(added: dict[str, Any], path: str) -> tuple[str, Any] | None:
    for own, app in added.items():
        if path == own or path.startswith(f"{own}/"):
            return own, app
    return None


def _checked(name: str, path: Any) -> str:
    if not isinstance(path, str):
        raise TypeError(f'{name}={path!r}: write a path, {name}="/{name}"')
    if not path.startswith("/") or path == "/":
        raise ValueError(f'{name}={path!r} is no path of its own: write {name}="/{name}"')
    return path.rstrip("/")
