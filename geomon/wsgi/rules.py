"""The route template that answers a request, from what Flask and Werkzeug leave in the environ.

Other frameworks say it under `geomon.endpoint`, or through the option `endpoint`.
"""

from __future__ import annotations

from typing import Any

from geomon.incoming.options import Read
from geomon.incoming.served import ENDPOINT, UNMATCHED, unreadable

_DEEPEST = 20


class Rules:
    """The templates of one application.

    Args:
        app: What the middleware wraps.
        read: The program's own way to find the template, asked first.
    """

    def __init__(self, app: Any, read: Read | None = None) -> None:
        self._read = read
        holder = _holder(app)
        self._url_map = None if holder is None else holder.url_map

    def of(self, environ: Any, root: str, status: int | None) -> str:
        """The template; `unmatched` where no route takes the request. Raises nothing.

        Args:
            environ: The request's, as the application left it.
            root: The SCRIPT_NAME it began with: what was added since is where an application is
                mounted.
            status: The status code of the response.
        """
        try:
            return self._of(environ, root, status)
        except Exception as error:
            return unreadable(error)

    def _of(self, environ: Any, root: str, status: int | None) -> str:
        told = environ.get(ENDPOINT) if self._read is None else self._read(environ)
        if told is not None:
            return str(told)
        rule = None
        if status != 404 and self._url_map is not None and environ.get("SCRIPT_NAME", "") == root:
            rule = _rule_of(self._url_map, environ)
        return UNMATCHED if rule is None else str(rule.rule)


def note(environ: Any, root: str) -> None:
    """Writes down the rule of a request that is being answered: Flask forgets it at the end."""
    try:
        rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
        if rule is not None:
            environ[ENDPOINT] = environ.get("SCRIPT_NAME", "").removeprefix(root) + rule.rule
    except Exception as error:
        environ[ENDPOINT] = unreadable(error)


def _holder(app: Any) -> Any:
    """The application that has Werkzeug's map of routes, below middlewares around it."""
    for _ in range(_DEEPEST):
        if app is None:
            return None
        for holder in (app, getattr(app, "__self__", None)):
            if hasattr(holder, "url_map"):
                return holder
        app = getattr(app, "app", None) or getattr(app, "wsgi_app", None)
    return None


def _rule_of(url_map: Any, environ: Any) -> Any:
    """The rule of a request that never came to one: a redirect to it, or another method's."""
    adapter = url_map.bind_to_environ(environ)
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    for fitting in (path, f"{path}/"):
        for method in sorted(adapter.allowed_methods(fitting)):
            try:
                return adapter.match(fitting, method=method, return_rule=True)[0]
            except Exception:  # Werkzeug's words for "no", and for "elsewhere"
                continue
    return None
