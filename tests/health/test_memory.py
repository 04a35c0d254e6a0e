"""The memory of the container: recorded trees of control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomon.health.cgroups import Cgroups, Place
from geomon.health.memory import Memory, container_memory
from geomon.health.mounts import mounts
from tests.health.trees import OTHER, UNLIMITED, V1, V2, GiB, MiB, Tree

MACHINE = 16 * GiB


def memory(tree: Tree) -> Memory | None:
    return container_memory(tree.cgroups().place("memory"), MACHINE)


def test_version_2_counts_the_usage_without_the_page_cache_that_can_be_dropped(tree: Tree) -> None:
    tree.v2("/").group(
        "",
        memory__max=GiB,
        memory__current=600 * MiB,
        memory__stat=f"anon {400 * MiB}\nfile {200 * MiB}\ninactive_file {150 * MiB}",
    )
    assert memory(tree) == (450 * MiB, GiB)


def test_version_1_counts_the_page_cache_of_the_groups_below_too(tree: Tree) -> None:
    tree.v1("/docker/abc", root="/docker/abc").group(
        "memory",
        memory__limit_in_bytes=GiB,
        memory__usage_in_bytes=600 * MiB,
        memory__stat=f"inactive_file 1\ntotal_inactive_file {100 * MiB}",
    )
    assert memory(tree) == (500 * MiB, GiB)


def test_an_inactive_cache_larger_than_the_usage_gives_zero(tree: Tree) -> None:
    tree.v2("/").group("", memory__max=GiB, memory__current=5, memory__stat="inactive_file 9")
    assert memory(tree) == (0, GiB)


def test_the_lowest_limit_of_the_ancestors_counts_with_the_usage_of_its_group(tree: Tree) -> None:
    tree.v2("/a/b/c").group("a", memory__max=4 * GiB, memory__current=3 * GiB)
    tree.group("a/b", memory__max=2 * GiB, memory__current=GiB)
    tree.group("a/b/c", memory__max="max", memory__current=MiB)
    assert memory(tree) == (GiB, 2 * GiB)


def test_of_equal_limits_the_outermost_counts_since_it_is_reached_first(tree: Tree) -> None:
    tree.v2("/pod/app").group("pod", memory__max=GiB, memory__current=900 * MiB)
    tree.group("pod/app", memory__max=GiB, memory__current=100 * MiB)
    assert memory(tree) == (900 * MiB, GiB)


@pytest.mark.parametrize("limit", ["max", UNLIMITED, 64 * GiB, MACHINE, 0, "", "nonsense", "-1"])
def test_without_a_limit_below_the_machines_memory_the_machine_counts(
    tree: Tree, limit: object
) -> None:
    tree.v2("/").group("", memory__max=limit, memory__current=MiB)
    assert memory(tree) is None


def test_version_1_tells_of_limits_of_ancestors_that_cannot_be_seen(tree: Tree) -> None:
    tree.v1("/docker/abc", root="/docker/abc").group(
        "memory",
        memory__limit_in_bytes=UNLIMITED,
        memory__usage_in_bytes=MiB,
        memory__stat=f"hierarchical_memory_limit {512 * MiB}\ntotal_inactive_file 0",
    )
    assert memory(tree) == (MiB, 512 * MiB)


def test_a_limit_whose_usage_cannot_be_read_is_not_taken_for_the_machines(tree: Tree) -> None:
    tree.v2("/").group("", memory__max=GiB)
    assert memory(tree) == (None, GiB)


def test_usage_without_its_statistics_is_taken_whole(tree: Tree) -> None:
    tree.v2("/").group("", memory__max=GiB, memory__current=MiB)
    assert memory(tree) == (MiB, GiB)


def test_a_hybrid_system_has_memory_in_version_1(tree: Tree) -> None:
    tree.v1("/user/x", more="1:name=systemd:/user/x\n0::/user/x\n")
    mountinfo = tree.root / "proc/self/mountinfo"
    unified = V2.format(root="/").replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
    mountinfo.write_text(f"{unified}\n{mountinfo.read_text()}")
    tree.group("memory/user/x", memory__limit_in_bytes=GiB, memory__usage_in_bytes=MiB)
    tree.group("unified/user/x", cpu__stat="usage_usec 5")
    assert memory(tree) == (MiB, GiB)


def test_kubernetes_with_the_hosts_path_in_the_containers_mount(tree: Tree) -> None:
    path = "/kubepods.slice/kubepods-burstable.slice/cri-containerd-0a.scope"
    tree.v2(path, root=path).group("", memory__max=GiB, memory__current=MiB)
    assert memory(tree) == (MiB, GiB)


def test_a_path_of_the_host_that_is_not_in_the_mount_is_the_mount_itself(tree: Tree) -> None:
    tree.v2("/system.slice/docker-0a.scope").group("", memory__max=GiB, memory__current=MiB)
    assert memory(tree) == (MiB, GiB)


def test_a_systemd_service_has_the_limit_of_its_slice(tree: Tree) -> None:
    tree.v2("/system.slice/app.service")
    tree.group("system.slice", memory__max=2 * GiB, memory__current=GiB)
    tree.group("system.slice/app.service", memory__max="max", memory__current=MiB)
    assert memory(tree) == (GiB, 2 * GiB)


def test_a_process_outside_the_namespaces_root_has_no_group_to_be_seen(tree: Tree) -> None:
    tree.v2("/../other").group("", memory__max=GiB, memory__current=MiB)
    assert memory(tree) is None


def test_a_mount_of_the_outer_namespace_is_read_from_there(tree: Tree) -> None:
    tree.v2("/../other", root="/..").group("other", memory__max=GiB, memory__current=MiB)
    assert memory(tree) == (MiB, GiB)


def test_the_mount_in_which_the_group_is_seen_is_taken(tree: Tree) -> None:
    elsewhere = V2.format(root="/../..").replace("/sys/fs/cgroup", "/host/sys/fs/cgroup")
    tree.proc("0::/app\n", elsewhere, V2.format(root="/"))
    tree.group("app", memory__max=GiB, memory__current=MiB)
    tree.write("host/sys/fs/cgroup/memory.max", "1")
    assert memory(tree) == (MiB, GiB)


def test_paths_with_colons_spaces_and_escapes(tree: Tree) -> None:
    tree.proc("0::/a:b/c d\n", V2.format(root=r"/a:b").replace("/sys/fs/cgroup", r"/my\040groups"))
    tree.write("my groups/c d/memory.max", f"{GiB}").write("my groups/c d/memory.current", "7")
    assert memory(tree) == (7, GiB)


def test_a_process_that_is_moved_while_it_runs(tree: Tree) -> None:
    tree.v2("/a").group("a", memory__max=GiB, memory__current=1)
    tree.group("b", memory__max=2 * GiB, memory__current=2)
    cgroups = Cgroups(tree.root)
    cgroups.look()
    before = container_memory(cgroups.place("memory"), MACHINE)
    tree.v2("/b")
    cgroups.look()
    assert (before, container_memory(cgroups.place("memory"), MACHINE)) == ((1, GiB), (2, 2 * GiB))


def test_without_control_groups_the_machine_counts(tree: Tree) -> None:
    assert memory(tree) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_file_that_may_not_be_read_is_as_if_it_were_not_there(tree: Tree) -> None:
    tree.v2("/").group("", memory__max=GiB, memory__current=MiB)
    (tree.root / "sys/fs/cgroup/memory.max").chmod(0)
    assert memory(tree) is None


def test_a_directory_in_place_of_a_file_is_as_if_it_were_not_there(tree: Tree) -> None:
    tree.v2("/").group("", memory__current=MiB)
    (tree.root / "sys/fs/cgroup/memory.max").mkdir()
    assert memory(tree) is None


def test_a_place_has_its_ancestors_up_to_the_mount() -> None:
    place = Place(Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/a/b"))
    assert place.levels() == [Path(f"/sys/fs/cgroup{rest}") for rest in ("/a/b", "/a", "")]


def test_mounts_that_are_no_control_groups_are_left_out() -> None:
    named = V1.format(n=1, name="name=systemd", root="/")
    found = mounts("\n".join([OTHER, "", "garbage", named, V2.format(root="/x")]))
    assert [(m.version, m.root, m.point) for m in found] == [
        (1, "/", "/sys/fs/cgroup/name=systemd"),
        (2, "/x", "/sys/fs/cgroup"),
    ]


@given(st.text(), st.text())
def test_no_text_in_proc_raises(cgroup: str, mountinfo: str) -> None:
    cgroups = Cgroups("/nowhere")
    cgroups._mounts = mounts(mountinfo + "\n" + V2.format(root="/"))
    from geomon.health.cgroups import _paths

    cgroups._paths = _paths(cgroup + "\n0::/" + cgroup)
    for controller in ("memory", "cpu"):
        container_memory(cgroups.place(controller), MACHINE)


@given(st.lists(st.tuples(st.integers(1, 2 * MACHINE), st.integers(0, MACHINE)), min_size=1))
def test_the_limit_is_the_lowest_of_all_levels(
    tmp_path_factory: pytest.TempPathFactory, levels: list[tuple[int, int]]
) -> None:
    tree = Tree(tmp_path_factory.mktemp("tree"))
    path = ""
    for number, (limit, usage) in enumerate(levels):
        path += f"/{number}"
        tree.group(path, memory__max=limit, memory__current=usage)
    found = memory(tree.v2(path))
    least = min(limit for limit, _ in levels)
    usage = next(usage for limit, usage in levels if limit == least)
    assert found == (None if least >= MACHINE else (usage, least))
