"""Begins calls, and finds the one that is current."""

from __future__ import annotations

from _thread import get_ident
from typing import TypeVar

from geomon import context, dispatch
from geomon.tracking.active import ActiveCall, Link, Spec, drain, open_call
from geomon.tracking.chain import ENDING, OPEN, enclosing, first_open
from geomon.tracking.dropped import dropped
from geomon.tracking.meter import Meter

R = TypeVar("R")

_current = context.current_call


def meter() -> Meter:
    """A block that adds up the calls inside it: `with geomon.meter() as m: ...; m.cost`.

    It is the program's own budget check. What a client's call costs is known when it ends, and a
    call that is still open when the block ends is not counted.
    """
    return Meter()


def current_call() -> ActiveCall | None:
    """The innermost open call here; None outside any."""
    here = enclosing()
    while here is not None and not isinstance(here, ActiveCall):
        here = first_open(here._parent)
    return here


def record(response: R) -> R:
    """Reads tokens and model from a client's response into the current call, and gives it back.

    For functions that return something else than the response; without a current call it does
    nothing. Of a stream it gives a stand-in that reads the items as they pass.
    """
    call = current_call()
    return response if call is None else call.record(response)


def begin(spec: Spec) -> ActiveCall:
    """A new open call; not yet the current one."""
    pipeline = dispatch.pipeline or dispatch.current()
    here = _current.get()
    if here is None:
        active = open_call(spec, None, pipeline)
    else:
        if here._state == ENDING and here._thread == get_ident():
            return _own(spec, here)
        active = open_call(spec, _parent(here), pipeline)
        if spec.client and _merge(active):
            return active
    if dropped:
        drain()
    if pipeline.guarded:
        _tell_started(active)
        return active
    for hook in pipeline.started:  # as dispatch.started, whose call every call would pay for
        try:
            hook(active)
        except BaseException as error:
            dispatch.contain("started_failed", hook, error)
    return active


def _parent(here: Link) -> Link | None:
    """The innermost open one; ended ones leave the chain, which else grows from task to task."""
    outer = here._parent
    if outer is not None and outer._state != OPEN:
        outer = here._parent = first_open(outer)
    return here if here._state == OPEN else outer


def _tell_started(active: ActiveCall) -> None:
    """Tells the program's own hooks too; what they call is a sink's, and not tracked."""
    active._state, active._thread = ENDING, get_ident()
    token = _current.set(active)
    try:
        dispatch.started(active._pipeline, active)
    finally:
        _current.reset(token)
        active._state = OPEN


def _own(spec: Spec, ending: ActiveCall) -> ActiveCall:
    """A call that a sink makes, which nobody hears of; nor of those inside it."""
    active = open_call(spec, None, dispatch.OFF)
    active._state, active._thread = ENDING, ending._thread
    return active


def _merge(active: ActiveCall) -> bool:
    """Finds the AI call that a client's call is a part of."""
    target = active._parent
    while target is not None:
        if isinstance(target, ActiveCall) and target.kind == "ai" and target._state == OPEN:
            break
        target = target._parent
    if target is None or not target._spec.merge:
        return False
    active._merges_into = target
    return True
