"""Forks: none is made while a reading is taken, unless that hangs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs import run

PROGRAM = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
    from geomon import forks
    forks._PATIENCE = {patience}
    shared = threading.Lock()  # as prometheus-client has one
    begun, forking, release = threading.Event(), threading.Event(), threading.Event()
    os.register_at_fork(before=forking.set)  # runs before geomon's own
    def reading():
        with forks.no_fork(), shared:
            begun.set()
            forking.wait()
            if not {hangs}:
                return
            release.wait()
    thread = threading.Thread(target=reading)
    thread.start()
    begun.wait()
    child = os.fork()
    if child == 0:
        free = shared.acquire(blocking=False)
        with forks.no_fork():
            os._exit(free)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    release.set()
    thread.join()
    with forks.no_fork():
        print("free again")
"""


@pytest.mark.parametrize(("patience", "hangs", "free"), [(30, False, 1), (0.01, True, 0)])
def test_a_fork_waits_for_a_reading_that_goes_on(
    tmp_path: Path, patience: float, hangs: bool, free: int
) -> None:
    assert run(PROGRAM.format(patience=patience, hangs=hangs), tmp_path) == f"{free}\nfree again\n"


def test_threads_that_fork_at_once_leave_it_free(tmp_path: Path) -> None:
    code = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
    from geomon import forks
    def fork():
        for _ in range(10):
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
    threads = [threading.Thread(target=fork) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(forks._steady.acquire(timeout=20), forks._under_way)
    """
    assert run(code, tmp_path) == "True 0\n"


def test_a_thread_may_fork_while_it_holds_forks_off_itself(tmp_path: Path) -> None:
    code = """
    from geomon import forks
    forks._PATIENCE = 1000
    with forks.no_fork(), forks.no_fork():
        child = os.fork()
    if child == 0:
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(7)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert run(code, tmp_path) == "7\n"


SCRAPED = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
    from geomon import forks
    from geomon.alerts import AlertManager
    from geomon.web.metrics import payload
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import GaugeMetricFamily
    forks._PATIENCE = 30
    begun, forking, shared = threading.Event(), threading.Event(), threading.Lock()
    os.register_at_fork(before=forking.set)
    class Collector:
        def collect(self):
            with shared:
                begun.set()
                forking.wait(30)
                yield GaugeMetricFamily("g", "-", 1)
    registry = CollectorRegistry()
    registry.register(Collector())
    def scrape():
        {scrape}
    forking.set()
    scrape()  # what it imports is there
    begun.clear(), forking.clear()
    thread = threading.Thread(target=scrape)
    thread.start()
    begun.wait()
    child = os.fork()
    if child == 0:
        os._exit(shared.acquire(timeout=5))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    thread.join()
"""


@pytest.mark.parametrize(
    "scrape",
    [
        'payload(registry, "", "")',
        "AlertManager([], [], registry=registry).evaluate()",
    ],
)
def test_a_fork_waits_for_a_collector_that_is_asked(tmp_path: Path, scrape: str) -> None:
    assert run(SCRAPED.format(scrape=scrape), tmp_path) == "1\n"
