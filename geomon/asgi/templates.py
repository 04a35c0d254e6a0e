"""The route template that answers a request, from what Starlette and FastAPI leave in the scope.

The scope says which route was chosen, but of a mounted application not where it is mounted: its
templates stand in a tree, made once, so that a request costs no matching however many routes there
are. Other frameworks say it under `geomon.endpoint`, or through the option `endpoint`.
"""

from __future__ import annotations

from typing import Any

from geomon.asgi.paths import below
from geomon.asgi.tree import Tree
from geomon.incoming.options import Read
from geomon.incoming.served import ENDPOINT, UNMATCHED, unreadable

_MOST_TREES = 64


class Templates:
    """The templates of one application.

    Args:
        app: What the middleware wraps.
        read: The program's own way to find the template, asked first.
    """

    def __init__(self, app: Any, read: Read | None = None) -> None:
        self._app = app
        self._read = read
        self._trees: dict[int, Tree] = {}

    def of(self, scope: Any, status: int | None) -> str:
        """The template; `unmatched` where no route takes the request. Raises nothing."""
        try:
            told = scope.get(ENDPOINT) if self._read is None else self._read(scope)
            if told is not None:
                return str(told)
            endpoint = scope.get("endpoint")
            if endpoint is None:
                return self._unrouted(scope, status)
            if "app_root_path" not in scope:  # not mounted
                route = scope.get("route")
                if getattr(route, "endpoint", None) is endpoint:
                    return _own_template(route, scope)
            return self._from_tree(scope, endpoint, status)
        except Exception as error:
            return unreadable(error)

    def _from_tree(self, scope: Any, endpoint: Any, status: int | None) -> str:
        tree = self._tree(scope)
        entry = tree.entry(endpoint, scope)
        if entry is None:
            return tree.below_mount(scope)
        return self._unrouted(scope, status) if entry.has_routes else entry.template

    def _unrouted(self, scope: Any, status: int | None) -> str:
        """Of a request that never came to a route: a redirect to one, or what a middleware said."""
        fastapi = scope.get("fastapi")
        if fastapi and "frontend_path" in fastapi:
            return _frontend(scope, fastapi["frontend_path"])
        if status == 404 and "endpoint" not in scope and "router" in scope:
            return UNMATCHED  # at no cost, as it is often asked for
        redirected = status is not None and 300 <= status < 400
        return self._tree(scope).find(scope, redirected) or UNMATCHED

    def _tree(self, scope: Any) -> Tree:
        """The tree of the outermost router, which the scope names once the request came to it."""
        router = scope.get("router", self._app)
        tree = self._trees.get(id(router))
        if tree is None or tree.root is not router:
            tree = Tree(router)
            if len(self._trees) < _MOST_TREES:
                self._trees[id(router)] = tree
        return tree


def _own_template(route: Any, scope: Any) -> str:
    """The template of a route of an application that is not mounted."""
    fastapi = scope.get("fastapi")
    if fastapi:
        included = fastapi.get("effective_route_context")  # with the prefixes of its routers
        if included is not None and included.original_route is route:
            return str(included.path_format)
    return str(route.path_format)


def _frontend(scope: Any, file: str) -> str:
    """The path of a FastAPI frontend: a directory of files, under a path without parameters."""
    path = below(scope.get("root_path", ""), scope["path"])
    return path.removesuffix(file).rstrip("/") or "/"
