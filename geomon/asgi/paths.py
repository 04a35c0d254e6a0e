"""Paths, and the roots that applications stand at."""

from __future__ import annotations


def below(root: str, path: str) -> str:
    """What follows an application's root in a path: of `/api/x` below `/api`, `/x`.

    The whole path where it does not begin with the root, which a proxy has taken off. So does
    Starlette.
    """
    rest = path.removeprefix(root)
    return rest if rest[:1] in ("", "/") else path
