"""The templates of all routes of an application, mounted ones included."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from geomon import clock
from geomon.asgi.paths import below

_DEEPEST = 20
_PATIENCE = 1.0  # seconds between two looks at the routes


class Entry:
    """What may answer a request: a route, or a mounted application.

    Args:
        endpoint: What stands in the scope when it was chosen.
        route: The route object.
        template: The whole template, mounts included.
        pattern: The regular expression of whole paths.
        has_routes: Whether it is an application that has routes of its own.
    """

    def __init__(
        self, endpoint: Any, route: Any, template: str, pattern: str, has_routes: bool = False
    ) -> None:
        self.endpoint = endpoint
        self.route = route
        self.template = template
        self.has_routes = has_routes
        self._pattern = pattern

    def matches(self, path: str) -> bool:
        """Whether the path is one of this entry's."""
        return self._regex.fullmatch(path) is not None

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(self._pattern, re.DOTALL)


class Tree:
    """The entries of a router, by their endpoints; read again when an endpoint is new.

    Args:
        root: The outermost router or application.
    """

    def __init__(self, root: Any) -> None:
        self.root = root
        self._read_again = 0.0
        self._grow()

    def _grow(self) -> None:
        self._read_again = clock.monotonic() + _PATIENCE
        self._all = list(_entries(routes_of(self.root) or (), "", ""))
        by_endpoint: dict[int, list[Entry]] = {}
        for entry in self._all:
            by_endpoint.setdefault(id(entry.endpoint), []).append(entry)
        self._by_endpoint = by_endpoint

    def entry(self, endpoint: Any, scope: Any) -> Entry | None:
        """The entry that was chosen; None where the tree does not know it."""
        entries = self._by_endpoint.get(id(endpoint))
        if entries is None and clock.monotonic() >= self._read_again:
            self._grow()
            entries = self._by_endpoint.get(id(endpoint))
        if entries is None:
            return None
        return entries[0] if len(entries) == 1 else _chosen(entries, scope)

    def find(self, scope: Any, redirected: bool) -> str | None:
        """The template that the path fits, or would with its last slash added or taken off."""
        path = _path(scope)
        found = self._fits(path)
        if found is None and redirected:
            found = self._fits(path.rstrip("/") if path.endswith("/") else f"{path}/")
        return found

    def _fits(self, path: str) -> str | None:
        fitting = (entry for entry in self._all if not entry.has_routes and entry.matches(path))
        return next((entry.template for entry in fitting), None)

    def below_mount(self, scope: Any) -> str:
        """The template of a route of a mounted application that hides its routes from us."""
        own = getattr(scope.get("route"), "path_format", "")
        return (self.find(scope, False) or "") + own or "unknown"


def _chosen(entries: list[Entry], scope: Any) -> Entry | None:
    """One function may serve several routes, and one application be mounted several times."""
    route = scope.get("route")
    own = [entry for entry in entries if entry.route is route] or entries
    if len(own) == 1:
        return own[0]
    path = _path(scope)
    return next((entry for entry in own if entry.matches(path)), None)


def _path(scope: Any) -> str:
    """The path below the application's own root."""
    return below(scope.get("app_root_path", scope.get("root_path", "")), scope["path"])


def routes_of(app: Any) -> Iterable[Any] | None:
    """The routes of an application, through the middlewares around it; None if it shows none."""
    for _ in range(_DEEPEST):
        if app is None:
            return None
        routes: Iterable[Any] | None = getattr(app, "routes", None)
        if routes is not None:
            return routes
        app = getattr(app, "app", None)
    return None


def _entries(routes: Iterable[Any], prefix: str, pattern: str, depth: int = 0) -> Iterator[Entry]:
    for route in _effective(routes):
        endpoint = getattr(route, "endpoint", None)
        if endpoint is not None:
            original = getattr(route, "original_route", route)
            yield Entry(endpoint, original, prefix + route.path_format, pattern + _regex(route))
        elif hasattr(route, "app") and depth < _DEEPEST:
            yield from _mounted(route, prefix, pattern, depth)


def _effective(routes: Iterable[Any]) -> Iterator[Any]:
    """The routes; FastAPI's included routers give theirs with the prefixes they have here."""
    for route in routes:
        contexts = getattr(route, "effective_route_contexts", None)
        if contexts is None:
            yield route
        else:
            for context in contexts():
                yield context if context.starlette_route is None else context.starlette_route


def _mounted(route: Any, prefix: str, pattern: str, depth: int) -> Iterator[Entry]:
    """A mounted application, or that of a host, and what is in it."""
    is_host = hasattr(route, "host")
    prefix += "" if is_host else route.path_format.removesuffix("/{path}")
    pattern += "" if is_host else _regex(route).removesuffix("/(?:.*)")
    routes = routes_of(route.app) or getattr(route, "routes", None)
    yield Entry(route.app, route, prefix or "/", pattern + "(?:/.*)?", bool(routes))
    if routes:
        yield from _entries(routes, prefix, pattern, depth + 1)


def _regex(route: Any) -> str:
    """A route's expression without its anchors and names, which may stand twice in a whole one."""
    text: str = route.path_regex.pattern
    return re.sub(r"\(\?P<\w+>", "(?:", text.removeprefix("^").removesuffix("$"))
