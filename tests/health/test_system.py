"""The readings: taken by one thread, or where asked under pytest."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from geomon import losses, settings
from geomon.health import System
from geomon.health.machine import Machine
from geomon.health.memory import Memory
from geomon.testing import MovableClock, contained_failures
from tests.health.trees import Fixed, GiB, MiB, Tree
from tests.programs import run, until


@pytest.fixture
def real() -> Iterator[System]:
    system = System(interval=0.01)
    yield system
    system.close()


def threads() -> int:
    return sum(thread.name == "geomon-system" for thread in threading.enumerate())


def test_readings_of_a_container(tree: Tree) -> None:
    tree.v2("/").group("", memory__max=GiB, memory__current=MiB)
    assert System(root=tree.root, machine=Fixed()).readings().memory == (MiB, GiB)


def test_readings_of_the_machine_where_there_is_no_container(tree: Tree) -> None:
    assert System(root=tree.root, machine=Fixed()).readings().memory == (4 * GiB, 16 * GiB)


def test_the_readings_of_this_machine_are_real(real: System) -> None:
    real.start()
    until(lambda: real.readings().cpu_percent is not None)
    readings = real.readings()
    used, limit = readings.memory
    assert used is not None
    assert limit is not None
    assert readings.cpu_percent is not None
    assert 0 < used <= limit
    assert 0 <= readings.cpu_percent <= 100


def test_the_machine_by_psutil_is_busy_when_it_works() -> None:
    machine = Machine()
    busy, total = machine.cpu_seconds()

    def works() -> bool:
        sum(range(100_000))
        return machine.cpu_seconds()[0] > busy

    until(works)
    assert machine.cpu_seconds()[1] > total


def test_under_pytest_no_thread_starts_and_each_question_takes_a_reading(
    tree: Tree, clock: MovableClock
) -> None:
    machine = Fixed()
    system = System(root=tree.root, machine=machine)
    first = system.readings().cpu_percent
    machine.busy, machine.total = 1.0, 4.0
    assert (first, system.readings().cpu_percent, threads()) == (None, 25, 0)


def test_one_thread_however_many_ask(real: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "under_pytest", False)
    askers = [threading.Thread(target=real.readings) for _ in range(20)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert threads() == 1


def test_the_thread_ends_with_close_and_starts_again_when_asked(
    real: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "under_pytest", False)
    real.readings()
    real.close()
    closed = threads()
    real.readings()
    assert (closed, threads()) == (0, 1)


def test_the_thread_ends_with_the_last_subscriber(
    real: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "under_pytest", False)
    told = threading.Event()
    ends = [real.subscribe(told.set), real.subscribe(told.set)]
    assert told.wait(20)
    ends[0]()
    one_left = threads()
    ends[1]()
    assert (one_left, threads()) == (1, 0)


def test_a_reading_that_is_stale_says_nothing(tree: Tree, clock: MovableClock) -> None:
    system = System(interval=5, root=tree.root, machine=Fixed())
    system.sample()
    clock.move(29)
    fresh = system.latest.memory.used
    clock.move(2)
    assert (fresh, system.latest.memory.used) == (4 * GiB, None)


def test_what_cannot_be_read_is_not_known_and_counted(tree: Tree) -> None:
    class Broken(Fixed):
        def memory(self) -> Memory:
            raise OSError("no /proc")

    before = losses.counts().get(("health", "reading"), 0)
    with contained_failures():
        readings = System(root=tree.root, machine=Broken()).readings()
    assert (readings.memory.used, readings.cpu_percent) == (None, None)
    assert losses.counts()["health", "reading"] == before + 1


def test_a_subscriber_that_fails_harms_nobody(tree: Tree) -> None:
    system = System(root=tree.root, machine=Fixed())
    told: list[int] = []
    system.subscribe(lambda: 1 / 0)
    system.subscribe(lambda: told.append(1))
    with contained_failures():
        system.sample()
    assert told == [1]


def test_importing_starts_no_thread_and_loads_neither_psutil_nor_prometheus(tree: Tree) -> None:
    code = """
    import geomon.health
    names = {"psutil", "prometheus_client"} & set(sys.modules)
    print(threading.active_count(), sorted(names))
    """
    assert run(code, tree.root) == "1 []\n"


def test_a_forked_child_has_the_parents_readings_and_starts_its_own_thread(tree: Tree) -> None:
    code = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
    from geomon.health import System
    system = System(interval=0.05)
    while system.readings().cpu_percent is None:
        time.sleep(0.01)
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        alone = threading.active_count() == 1 and system.latest.memory.used is not None
        at = system._read_at
        while system.readings() and system._read_at == at:
            time.sleep(0.01)
        os._exit(0 if alone and threading.active_count() == 2 else 1)
    print(os.waitpid(child, 0)[1])
    system.close()
    """
    assert run(code, tree.root) == "0\n"


def test_a_process_ends_while_the_thread_runs(tree: Tree) -> None:
    code = """
    from geomon.health import System
    System(interval=0.001).start()
    print("done")
    """
    assert run(code, tree.root) == "done\n"
