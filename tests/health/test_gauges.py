"""The gauges of the system, in one process and in several."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from geomon.health import ActiveUsers, System, SystemGauges
from geomon.testing import MovableClock
from tests.health.test_active_users import seen
from tests.health.trees import Fixed, GiB, MiB, Tree
from tests.programs import run


@pytest.fixture
def system(tree: Tree) -> System:
    tree.v2("/").group("", memory__max=GiB, memory__current=MiB)
    return System(root=tree.root, machine=Fixed())


def samples(registry: CollectorRegistry) -> dict[str, float]:
    return {s.name: s.value for metric in registry.collect() for s in metric.samples}


def test_what_is_not_known_is_absent(system: System) -> None:
    registry = CollectorRegistry()
    SystemGauges(registry, system=system)
    assert samples(registry) == {"memory_usage_bytes": MiB, "memory_limit_bytes": GiB}


def test_cpu_use_is_there_with_the_second_reading(tree: Tree, clock: MovableClock) -> None:
    registry, machine = CollectorRegistry(), Fixed()
    SystemGauges(registry, system=System(root=tree.root, machine=machine))
    samples(registry)
    machine.busy, machine.total = 1.0, 4.0
    assert samples(registry)["cpu_usage_percent"] == 25


def test_active_users_are_those_of_the_sink(system: System) -> None:
    registry, users = CollectorRegistry(), ActiveUsers()
    SystemGauges(registry, system=system, users=users)
    seen(users, "a", "b")
    assert samples(registry)["active_users"] == 2


def test_the_namespace_is_put_before_every_name(system: System) -> None:
    registry = CollectorRegistry()
    SystemGauges(registry, "myapp", system=system)
    assert sorted(samples(registry)) == ["myapp_memory_limit_bytes", "myapp_memory_usage_bytes"]


def test_they_are_gauges_with_help(system: System) -> None:
    registry = CollectorRegistry()
    SystemGauges(registry, system=system)
    text = generate_latest(registry).decode()
    assert "# TYPE memory_usage_bytes gauge" in text
    assert "# HELP memory_usage_bytes Memory of the container" in text


def test_later_ones_replace_earlier_ones(system: System) -> None:
    registry = CollectorRegistry()
    earlier = SystemGauges(registry, system=system)
    SystemGauges(registry, system=system)
    earlier.close()
    assert len(samples(registry)) == 2


def test_close_takes_them_out_and_can_be_repeated(system: System) -> None:
    registry = CollectorRegistry()
    gauges = SystemGauges(registry, system=system)
    gauges.close()
    gauges.close()
    assert samples(registry) == {}


def test_a_taken_name_is_an_error_that_says_what_to_write(system: System) -> None:
    registry = CollectorRegistry()
    Gauge("active_users", "the program's own", registry=registry)
    with pytest.raises(ValueError, match='write configure\\(namespace="myapp"\\)'):
        SystemGauges(registry, system=system)


WORKER = """
import geomon, struct, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
from geomon import dispatch
from geomon.health import ActiveUsers, System, SystemGauges
system, users = System(interval=0.02), ActiveUsers()
gauges = SystemGauges(system=system, users=users)
dispatch.install(dispatch.Pipeline([users]))
def visit(*names):
    for name in names:
        with geomon.bind(user_id=name), geomon.track_ai("chat"): pass
def shown():
    from prometheus_client import CollectorRegistry, multiprocess
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    try:
        return {s.name: (s.labels, s.value) for m in registry.collect() for s in m.samples}
    except struct.error:  # a file that was just made
        return {}
def until(true):
    while not true():
        time.sleep(0.01)
"""


def test_in_several_workers_users_add_up_and_memory_does_not(tmp_path: Path) -> None:
    code = (
        WORKER
        + """
visit("a", "b")
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    signal.alarm(60)
    visit("b", "c", "d")  # starts this worker's thread
    until(lambda: shown().get("active_users") == ({}, 5.0))
    os.write(writing, b"x")
    until(lambda: False)
os.read(reading, 1)
found = shown()
import psutil
total = psutil.virtual_memory().total
labels = {tuple(labels) for labels, _ in found.values()}
print(found["active_users"][1], found["memory_limit_bytes"][1] <= total, labels)
os.kill(child, 9)
os.waitpid(child, 0)
gauges.close()
print(shown()["active_users"][1], threading.active_count())
"""
    )
    assert run(code, tmp_path, PROMETHEUS_MULTIPROC_DIR=str(tmp_path)) == "5.0 True {()}\n3.0 1\n"
