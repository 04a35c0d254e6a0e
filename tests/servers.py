"""The real servers and tools that tests run against, from Debian's packages.

`require("promtool", package="prometheus")` gives a program's path. A missing program is installed
where that is possible (root, apt); elsewhere the test is skipped, and says which package to
install. With `CI=true` in the environment it fails instead: there nothing may go untested.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

APT = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=1"]
INSTALL = [*APT, "install", "-y", "--no-install-recommends"]
PATIENCE = 300  # seconds that one run of apt-get may take
POLICY = Path("/usr/sbin/policy-rc.d")  # Debian asks it before a package starts a service


def require(program: str, *, package: str) -> str:
    """Give the path of `program`; install Debian's `package` if need be, else skip the test.

    Raises:
        pytest.skip.Exception: the program is missing and cannot be installed.
        pytest.fail.Exception: the same, with `CI=true` in the environment.
    """
    path = shutil.which(program) or (_install(package) and shutil.which(program))
    if path:
        return path
    missing = f"{program} is missing: install Debian's package {package}"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


@cache  # a package that could not be installed is not tried again in this session
def _install(package: str) -> bool:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    with _no_service_started():
        return _succeeds([*INSTALL, package]) or (
            _succeeds([*APT, "update"]) and _succeeds([*INSTALL, package])
        )


@contextmanager
def _no_service_started() -> Iterator[None]:
    if POLICY.exists():  # a container's own: it refuses too, or its owner wants otherwise
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def _succeeds(command: list[str]) -> bool:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    try:
        done = subprocess.run(
            command, env=quiet, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
