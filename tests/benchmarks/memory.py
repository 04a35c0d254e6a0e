"""Memory over a million calls."""

from __future__ import annotations

import gc
import resource

from prometheus_client import CollectorRegistry

import geomon

CALLS = 1_000_000


def resident() -> float:
    """The resident set in MB."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 1e6


def main() -> None:
    geomon.configure(registry=CollectorRegistry(), console=False)
    tracked = geomon.track_ai("bench", model="m")(lambda x: x)
    print(f"\nResident memory over {CALLS:,} calls")
    for done in range(0, CALLS + 1, CALLS // 4):
        gc.collect()
        print(f"  after {done:>9,} calls {resident():>10.1f} MB")
        for _ in range(CALLS // 4):
            tracked(1)


if __name__ == "__main__":
    main()
