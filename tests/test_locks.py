"""A forked child can take every lock, whatever another thread held at the fork."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest

import geomon
from geomon import locks

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

PACKAGE = Path(geomon.__file__).parent
MODULES = sorted(
    ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
    for file in PACKAGE.rglob("*.py")
    if "= locks.lock_of(sys.modules[__name__])" in file.read_text()
)
FORKED = """
import importlib, os, signal, sys, threading
import geomon
from geomon.sinks.labels import LabelGuard
from geomon import dispatch, losses
from prometheus_client import REGISTRY, CollectorRegistry
module = importlib.import_module(sys.argv[1])
if sys.argv[2] == "configured": geomon.configure(sinks=[])
held, done = threading.Event(), threading.Event()
def hold():
    with module._lock:
        held.set()
        done.wait()
thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(10)
    with geomon.meter() as meter, geomon.track_ai("chat", model="m"):
        with geomon.track_request("GET", "/"): pass
    losses.count("child", "counted")
    geomon.instrument("httpx").close()
    geomon.health.check("own")(lambda: True)
    geomon.health.health_answer()
    geomon.configure(registry=CollectorRegistry())
    shown = REGISTRY.get_sample_value("ai_requests_total", {"type": "chat", "model": "m"})
    print(meter.calls, shown, losses.counts()["child", "counted"], flush=True)
    os._exit(0)
status = os.waitpid(child, 0)[1]
done.set()
thread.join()
print(status)
"""


def test_modules_with_a_lock_are_found() -> None:
    assert {"dispatch", "health.gauges", "instrumentation", "sinks.store"} < set(MODULES)


@needs_fork
@pytest.mark.parametrize("configured", ["configured", "first use"])
@pytest.mark.parametrize("module", MODULES)
def test_a_fork_while_another_thread_holds_a_lock_leaves_the_child_counting(
    module: str, configured: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED, f"geomon.{module}", configured],
        env={**os.environ, "GEOMON_CONSOLE": "0"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.returncode) == ("2 1.0 1\n0\n", 0), done.stderr


class Owner:
    def __init__(self) -> None:
        self._lock = locks.lock_of(self)


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_has_a_lock_of_its_own() -> None:
    owner = Owner()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with owner._lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if owner._lock.acquire(timeout=5) else 1)
    status = os.waitpid(child, 0)[1]
    is_held_here = not owner._lock.acquire(blocking=False)
    done.set()
    thread.join()
    assert (status, is_held_here) == (0, True)


def test_an_owner_is_not_kept_alive() -> None:
    owner = weakref.ref(Owner())
    gc.collect()
    assert owner() is None


def test_a_thread_can_take_its_lock_again() -> None:
    owner = Owner()
    with owner._lock:
        assert owner._lock.acquire(timeout=5)
        owner._lock.release()
