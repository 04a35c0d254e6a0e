"""Puts geomon into a library's function, and takes it out again."""

from __future__ import annotations

import functools
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

from geomon import locks
from geomon.clients.options import Options

Function = Callable[..., Any]

_MARK = "_geomon"
_lock = locks.lock_of(sys.modules[__name__])


class Seam(NamedTuple):
    """A function of a library's class that all its requests go through."""

    owner: type
    name: str
    wrap: Callable[[Function, Patch], Function]
    """Makes what stands in its place: it asks the patch at each call whether to track it."""


class Layer:
    """What one `geomon.instrument` asked for."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._patches: list[Patch] = []
        self._is_open = True

    def lay_on(self, patch: Patch) -> None:
        """Asks it of a function; nothing where the layer was closed meanwhile."""
        with _lock:
            if self._is_open and patch not in self._patches:
                self._patches.append(patch)
                patch.add(self)

    def close(self) -> None:
        """Asks it no more. Can be repeated."""
        with _lock:
            self._is_open = False
            patches, self._patches = self._patches, []
            for patch in patches:
                patch.remove(self)


class Patch:
    """One function of a class, or of one object, that geomon stands in for.

    The last layer's options hold; with the last layer the function is what it was. Where somebody
    else has patched it since, that stays, and calls pass through it untracked.
    """

    def __init__(self, seam: Seam, client: Any = None) -> None:
        self._seam = seam
        self._client = None if client is None else weakref.ref(client)
        self._layers: list[Layer] = []
        self._original: Any = None
        self._replacement: Any = None
        self.options: Options | None = None

    def options_of(self, client: Any) -> Options | None:
        """What is asked for this client; None: its calls are not tracked here."""
        if self._client is None and _MARK in client.__dict__:
            return None  # instrumented by itself too
        return self.options

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What is asked for now, the last one in force."""
        return tuple(self._layers)

    def add(self, layer: Layer) -> None:
        """Puts a layer on top."""
        if not self._layers:
            self._put()
        self._layers.append(layer)
        self.options = layer.options

    def remove(self, layer: Layer) -> None:
        """Takes a layer off."""
        self._layers.remove(layer)
        self.options = self._layers[-1].options if self._layers else None
        if not self._layers:
            self._take_out()

    def _put(self) -> None:
        owner, name, wrap = self._seam
        if self._client is None:
            self._original = vars(owner).get(name)
            self._replacement = wrap(getattr(owner, name), self)
            setattr(owner, name, self._replacement)
            return
        client = self._client()
        below = _of_class(type(client), name)
        self._replacement = types.MethodType(wrap(below, self), client)
        client.__dict__.update({name: self._replacement, _MARK: self})

    def _take_out(self) -> None:
        owner, name, _ = self._seam
        if self._client is not None:
            self._take_out_of(getattr(self._client(), "__dict__", {}), name)
            return
        del _on_classes[owner, name]
        if vars(owner).get(name) is self._replacement:
            if self._original is None:
                delattr(owner, name)
            else:
                setattr(owner, name, self._original)

    def _take_out_of(self, attributes: dict[str, Any], name: str) -> None:
        attributes.pop(_MARK, None)
        if attributes.get(name) is self._replacement:
            del attributes[name]
        self._replacement = None


def _of_class(cls: type, name: str) -> Function:
    """The class's function, as it is at each call: others may patch it meanwhile."""
    now: Any = getattr(cls, name)

    @functools.wraps(now)
    def function(*args: Any, **kwargs: Any) -> Any:
        return getattr(cls, name)(*args, **kwargs)

    return function


_on_classes: dict[tuple[type, str], Patch] = {}
_on_clients: weakref.WeakSet[Patch] = weakref.WeakSet()


def lay_on_class(layer: Layer, seam: Seam) -> None:
    """Asks it of a class's function; under two names of one library it is one function."""
    with _lock:
        layer.lay_on(_on_classes.setdefault((seam.owner, seam.name), Patch(seam)))


def lay_on_client(layer: Layer, seam: Seam, client: Any) -> None:
    """Asks it of one client's function."""
    with _lock:
        patch = patch_of(client)
        if patch is None:
            patch = Patch(seam, client)
            _on_clients.add(patch)
        layer.lay_on(patch)


def patch_of(client: Any) -> Patch | None:
    """The patch that a client has of its own."""
    patch = getattr(client, "__dict__", {}).get(_MARK)
    return patch if isinstance(patch, Patch) else None


def all_layers() -> set[Layer]:
    """Whatever was asked for and stands."""
    with _lock:
        patches = [*_on_classes.values(), *_on_clients]
        return {layer for patch in patches for layer in patch.layers}
