"""`instrument()`: one line that tracks what the program's clients send and its apps serve."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Iterable
from typing import Any, overload

import wrapt

from geomon import dispatch, locks, losses
from geomon.clients import LIBRARIES
from geomon.clients.options import Options
from geomon.clients.options import options as checked
from geomon.clients.patching import (
    Layer,
    Seam,
    all_layers,
    lay_on_class,
    lay_on_client,
    patch_of,
)

_lock = locks.lock_of(sys.modules[__name__])  # never held while something is imported
_by_name: dict[str, list[Layer]] = {}
_hooked: set[str] = set()


class Instrumentation:
    """What `instrument` gives for clients; a with-block closes it.

    Each is closed by itself: a library that was instrumented twice is what it was after both.
    """

    def __init__(self, layers: dict[str, Layer]) -> None:
        self._layers = layers

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of what it instruments."""
        return tuple(self._layers)

    def close(self) -> None:
        """Tracks no more requests on its behalf. Can be repeated."""
        for name, layer in self._layers.items():
            _forget(name, layer)

    def __enter__(self) -> Instrumentation:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Instrumentation of {', '.join(self._layers) or 'nothing'}>"


@overload
def instrument(
    *targets: str, propagate: Iterable[str] = ..., exclude: Iterable[str] = ...
) -> Instrumentation: ...


@overload
def instrument(target: Any, /, **options: Any) -> Any: ...


def instrument(*targets: Any, **options: Any) -> Any:
    """Tracks what clients send, or what an app serves.

    `instrument()`: every supported client library that is installed, also where it is imported
    later. `instrument("httpx", "requests")`: these. `instrument(client)`: this client only.
    `instrument(app)`: see `geomon.frameworks.instrument_app`; gives the app.

    Each request is a call of kind `client_request`, from its first byte out to the last byte of its
    answer. To instrument again counts nothing twice; the options of the last time hold.

    Args:
        *targets: Names, clients, or one app.
        **options: For clients `propagate=["api.internal", "*.example.com"]`: the hosts, and no
            others, to which the bound `request_id` goes as `X-Request-ID`, and the bound `trace_id`
            as W3C `traceparent`, unless the program has set them itself; and `exclude=[...]`: the
            hosts whose requests are left alone, such as one that the program's log records are
            sent to. For an app: its own.

    Returns:
        For clients a handle: `close()` undoes it. For an app the app.

    Raises:
        ModuleNotFoundError: a library that is named is not installed.
        RuntimeError: it is a version that geomon does not know.
        TypeError: a target is nothing that can be instrumented, or an option is unknown.
        ValueError: a name or a host is none.
    """
    if not all(map(_is_client, targets)):
        return _instrument_app(*targets, **options)
    clients = {_name_of(target): target for target in targets}
    for target in targets:
        if isinstance(target, str):
            _check(target)
    asked = _client_options(options)
    if not targets:
        return _instrument_installed(asked)
    handle = Instrumentation({name: Layer(asked) for name in clients})
    try:
        for name, layer in handle._layers.items():
            _lay(name, clients[name], layer)
    except BaseException:
        handle.close()
        raise
    return handle


def uninstrument(*targets: Any) -> None:
    """Undoes `instrument` for names and clients, however often it was called; bare, for all.

    Raises:
        TypeError: a target is an app, whose middleware stays, or nothing that can be instrumented.
        ValueError: a name is none.
    """
    for target in targets:
        if isinstance(target, str):
            _check_name(target)
        elif not _is_client(target):
            raise TypeError(f"uninstrument takes names and clients, not {target!r}")
    for layer in _layers_of(targets) if targets else _all_layers():
        layer.close()


def _layers_of(targets: tuple[Any, ...]) -> list[Layer]:
    layers: list[Layer] = []
    for target in targets:
        if isinstance(target, str):
            with _lock:
                layers += _by_name.pop(target, [])
        elif (patch := patch_of(target)) is not None:
            layers += patch.layers
    return layers


def _all_layers() -> set[Layer]:
    with _lock:
        named = {layer for layers in _by_name.values() for layer in layers}
        _by_name.clear()
    return named | all_layers()


# --- libraries


def _instrument_installed(asked: Options) -> Instrumentation:
    handle = Instrumentation({name: Layer(asked) for name in LIBRARIES if _is_installed(name)})
    for name, layer in handle._layers.items():
        try:
            _lay(name, name, layer)
        except Exception as error:
            losses.failed("clients", "setup_failed", error, name)
    return handle


def _is_installed(name: str) -> bool:
    if sys.modules.get(name) is not None:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _check_name(name: str) -> None:
    if name not in LIBRARIES:
        known = ", ".join(f'"{known}"' for known in LIBRARIES)
        raise ValueError(f"{name!r} cannot be instrumented: write one of {known}")


def _check(name: str) -> None:
    _check_name(name)
    if not _is_installed(name):
        raise ModuleNotFoundError(f"{name} is not installed: pip install {name}", name=name)


def _client_options(options: dict[str, Any]) -> Options:
    unknown = ", ".join(sorted(options.keys() - {"propagate", "exclude"}))
    if unknown:
        raise TypeError(f"clients take propagate=[...] and exclude=[...], not {unknown}")
    return checked(**options)


def _lay(name: str, target: Any, layer: Layer) -> None:
    if dispatch.disabled:
        return
    if not isinstance(target, str):
        seam = _seam_of(target)
        assert seam is not None
        lay_on_client(layer, seam, target)
        return
    with _lock:
        _by_name.setdefault(name, []).append(layer)
    if sys.modules.get(name) is not None:
        _lay_on_library(name, layer)
    else:
        _when_imported(name)


def _lay_on_library(name: str, layer: Layer) -> None:
    library = importlib.import_module(name)  # waits where another thread is importing it
    for seam in _seams(name, library):
        lay_on_class(layer, seam)


def _seams(name: str, library: types.ModuleType) -> tuple[Seam, ...]:
    seams: tuple[Seam, ...] = importlib.import_module(LIBRARIES[name]).seams(library)
    return seams


def _when_imported(name: str) -> None:
    """Instruments the library once it is imported, where it is still asked for then."""

    def imported(library: types.ModuleType) -> None:
        with _lock:
            _hooked.discard(name)
            layers = list(_by_name.get(name, ()))
        try:
            for layer in layers:
                _lay_on_library(name, layer)
        except Exception as error:
            losses.failed("clients", "setup_failed", error, name)

    with _lock:
        if name in _hooked:
            return
        _hooked.add(name)
    wrapt.register_post_import_hook(imported, name)


def _forget(name: str, layer: Layer) -> None:
    with _lock:
        layers = _by_name.get(name, [])
        if layer in layers:
            layers.remove(layer)
    layer.close()


# --- clients and apps


def _is_client(target: Any) -> bool:
    return isinstance(target, str) or _seam_of(target) is not None


def _name_of(target: Any) -> str:
    return target if isinstance(target, str) else f"<{type(target).__name__} {id(target):#x}>"


def _seam_of(client: Any) -> Seam | None:
    """The function of a client's class that its requests go through; None: it is no client."""
    for name in LIBRARIES:
        library = sys.modules.get(name)
        if library is not None:
            try:
                seams = _seams(name, library)
            except (AttributeError, RuntimeError):  # half imported, or not known
                continue
            for seam in seams:
                if isinstance(client, seam.owner):
                    return seam
    return None


def _instrument_app(app: Any, *others: Any, **options: Any) -> Any:
    if others:
        raise TypeError("instrument(app) takes one app by itself, and gives it back")
    for kind, what in ((types.ModuleType, "a module"), (type, "a class")):
        if isinstance(app, kind):
            raise TypeError(
                f"instrument({app!r}) is {what}: write a library's name, such as "
                'instrument("httpx"), a client or an app'
            )
    from geomon import frameworks

    return frameworks.instrument_app(app, **options)
