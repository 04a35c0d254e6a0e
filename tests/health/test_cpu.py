"""The CPU use of the container: recorded trees of control groups."""

from __future__ import annotations

import pytest

from geomon.health.cpu import CpuMeter, cpu_limit
from geomon.testing import MovableClock
from tests.health.trees import Fixed, Tree


def cores(tree: Tree) -> float | None:
    limit = cpu_limit(tree.cgroups(), 8)
    return None if limit is None else limit.cores


def used(tree: Tree, path: str, seconds: float) -> None:
    tree.group(path, cpu__stat=f"usage_usec {round(seconds * 1e6)}\nuser_usec 0")


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("50000 100000", 0.5), ("250000 100000", 2.5), ("max 100000", None), ("800000 100000", None)]
    + [(text, None) for text in ("", "nonsense", "1", "0 100000", "100000 0", "-1 5")],
)
def test_the_quota_of_version_2(tree: Tree, quota: str, expected: float | None) -> None:
    used(tree, "", 1)
    tree.v2("/").group("", cpu__max=quota)
    assert cores(tree) == expected


@pytest.mark.parametrize(("quota", "expected"), [(150000, 1.5), (-1, None)])
def test_the_quota_of_version_1(tree: Tree, quota: int, expected: float | None) -> None:
    tree.v1("/x").group("cpu,cpuacct/x", cpu__cfs_quota_us=quota, cpu__cfs_period_us=100000)
    assert cores(tree) == expected


@pytest.mark.parametrize(
    ("cpus", "expected"),
    [("0-3", 4), ("0", 1), ("0-1,4,6-7", 5), ("0-7", None), ("", None), ("x-y", None)],
)
def test_the_cpuset(tree: Tree, cpus: str, expected: float | None) -> None:
    tree.v2("/").group("", cpuset__cpus__effective=cpus)
    assert cores(tree) == expected


def test_the_cpuset_of_version_1(tree: Tree) -> None:
    tree.v1("/x").group("cpuset/x", cpuset__cpus="0-1").group("cpu,cpuacct/x", cpuacct__usage=1)
    assert cores(tree) == 2


def test_the_lowest_limit_of_all_levels_counts(tree: Tree) -> None:
    tree.v2("/a/b").group("a", cpu__max="100000 100000", cpuset__cpus__effective="0-3")
    tree.group("a/b", cpu__max="200000 100000", cpuset__cpus__effective="0-2")
    limit = cpu_limit(tree.cgroups(), 8)
    assert limit == (1.0, tree.root / "sys/fs/cgroup/a")


def test_nothing_is_known_before_the_second_reading(tree: Tree, clock: MovableClock) -> None:
    used(tree, "", 10)
    meter = CpuMeter(tree.v2("/").group("", cpu__max="200000 100000").cgroups(), Fixed())
    first = meter.percent()
    clock.move(5)
    used(tree, "", 15)
    assert (first, meter.percent()) == (None, pytest.approx(50))


def test_use_is_counted_in_the_group_that_has_the_limit(tree: Tree, clock: MovableClock) -> None:
    used(tree, "pod", 0)
    used(tree, "pod/app", 0)
    meter = CpuMeter(tree.v2("/pod/app").group("pod", cpu__max="100000 100000").cgroups(), Fixed())
    meter.percent()
    clock.move(10)
    used(tree, "pod", 9)
    used(tree, "pod/app", 1)
    assert meter.percent() == pytest.approx(90)


def test_version_1_counts_nanoseconds(tree: Tree, clock: MovableClock) -> None:
    tree.v1("/x").group("cpu,cpuacct/x", cpu__cfs_quota_us=100000, cpu__cfs_period_us=100000)
    tree.group("cpu,cpuacct/x", cpuacct__usage=0)
    meter = CpuMeter(tree.cgroups(), Fixed())
    meter.percent()
    clock.move(10)
    tree.group("cpu,cpuacct/x", cpuacct__usage=2_500_000_000)
    assert meter.percent() == pytest.approx(25)


def test_a_burst_past_the_quota_is_100_percent(tree: Tree, clock: MovableClock) -> None:
    used(tree, "", 0)
    meter = CpuMeter(tree.v2("/").group("", cpu__max="100000 100000").cgroups(), Fixed())
    meter.percent()
    clock.move(1)
    used(tree, "", 2)
    assert meter.percent() == 100


def test_a_reading_too_soon_gives_the_last_value(tree: Tree, clock: MovableClock) -> None:
    used(tree, "", 0)
    meter = CpuMeter(tree.v2("/").group("", cpu__max="100000 100000").cgroups(), Fixed())
    meter.percent()
    clock.move(10)
    used(tree, "", 3)
    assert (meter.percent(), meter.percent()) == (pytest.approx(30), pytest.approx(30))


def test_nothing_is_known_after_the_process_was_moved(tree: Tree, clock: MovableClock) -> None:
    for path, seconds in (("a", 5), ("b", 100)):
        used(tree, path, seconds)
        tree.group(path, cpu__max="100000 100000")
    cgroups = tree.v2("/a").cgroups()
    meter = CpuMeter(cgroups, Fixed())
    meter.percent()
    clock.move(10)
    tree.v2("/b")
    cgroups.look()
    moved = meter.percent()
    clock.move(10)
    used(tree, "b", 101)
    assert (moved, meter.percent()) == (None, pytest.approx(10))


def test_nothing_is_known_after_the_limit_was_changed(tree: Tree, clock: MovableClock) -> None:
    used(tree, "", 0)
    meter = CpuMeter(tree.v2("/").group("", cpu__max="100000 100000").cgroups(), Fixed())
    meter.percent()
    clock.move(10)
    tree.group("", cpu__max="200000 100000")
    assert meter.percent() is None


def test_a_count_that_goes_back_or_away_is_not_known(tree: Tree, clock: MovableClock) -> None:
    used(tree, "", 50)
    meter = CpuMeter(tree.v2("/").group("", cpu__max="100000 100000").cgroups(), Fixed())
    meter.percent()
    clock.move(10)
    used(tree, "", 1)
    back = meter.percent()
    (tree.root / "sys/fs/cgroup/cpu.stat").unlink()
    assert (back, meter.percent()) == (None, None)


def test_without_a_limit_the_machine_counts(tree: Tree, clock: MovableClock) -> None:
    machine = Fixed()
    meter = CpuMeter(tree.v2("/").group("", cpu__max="max 100000").cgroups(), machine)
    first = meter.percent()
    machine.busy, machine.total = 6.0, 8.0
    assert (first, meter.percent()) == (None, 75)
