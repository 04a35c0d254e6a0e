"""Trees of files as /proc and /sys/fs/cgroup have them, written under a directory."""

from __future__ import annotations

from pathlib import Path

from geomon.health.cgroups import Cgroups
from geomon.health.machine import Machine
from geomon.health.memory import Memory

GiB = 2**30
MiB = 2**20
UNLIMITED = "9223372036854771712"

V2 = "31 23 0:28 {root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1 = "4{n} 31 0:3{n} {root} /sys/fs/cgroup/{name} rw,nosuid - cgroup cgroup rw,{name}"
OTHER = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw"


class Fixed(Machine):
    """A machine of 8 CPUs and 16 GiB, of which 4 are used."""

    def __init__(self) -> None:
        self.busy, self.total = 0.0, 0.0

    def memory(self) -> Memory:
        return Memory(4 * GiB, 16 * GiB)

    def cores(self) -> int:
        return 8

    def cpu_seconds(self) -> tuple[float, float]:
        return self.busy, self.total


class Tree:
    """A root directory. What is written replaces what was there."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def v2(self, path: str, *, root: str = "/") -> Tree:
        """The process is at `path` of version 2, of which `root` is mounted."""
        return self.proc(f"0::{path}\n", V2.format(root=root))

    def v1(self, path: str, *, root: str = "/", more: str = "") -> Tree:
        """The process is at `path` of the hierarchies memory, `cpu,cpuacct` and cpuset."""
        names = ("memory", "cpu,cpuacct", "cpuset")
        lines = [f"{9 - n}:{name}:{path}\n" for n, name in enumerate(names)]
        mounts = [V1.format(n=n, name=name, root=root) for n, name in enumerate(names)]
        return self.proc("".join(lines) + more, *mounts)

    def proc(self, cgroup: str, *mounts: str) -> Tree:
        self.write("proc/self/cgroup", cgroup)
        return self.write("proc/self/mountinfo", "\n".join([OTHER, *mounts]) + "\n")

    def group(self, path: str, **files: object) -> Tree:
        """A group's files; `__` in a name stands for a dot."""
        for name, content in files.items():
            self.write(f"sys/fs/cgroup/{path}/{name.replace('__', '.')}", f"{content}\n")
        return self

    def write(self, path: str, text: str) -> Tree:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return self

    def cgroups(self) -> Cgroups:
        cgroups = Cgroups(self.root)
        cgroups.look()
        return cgroups
