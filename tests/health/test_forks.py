"""Forks: none is made while a reading is taken, unless that hangs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs import run

PROGRAM = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
    from geomon.health import forks
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
    from geomon.health import forks
    def fork():
        for _ in range(10):
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
    threads = [threading.Thread(target=fork) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(forks._steady.acquire(timeout=20))
    """
    assert run(code, tmp_path) == "True\n"
