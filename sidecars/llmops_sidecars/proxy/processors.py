"""How many processors this process may use: a container's share, not the node's cores.

Libraries start a thread for each core that they see, and a container of one processor on a node of a hundred then has
a hundred threads that wait for each other.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
WAITING = 4
"""Threads beyond the processors: some only wait, for a file or for the address of a name."""

MOST_THREADS = 32
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""What numpy's libraries look at when they are loaded."""


def processors(cgroup: Path = CGROUP) -> int:
    """Processors of this process, at least one: the smaller of its affinity and its control group's quota."""
    return max(1, math.ceil(min(len(os.sched_getaffinity(0)), _quota(cgroup))))


def new_executor() -> ThreadPoolExecutor:
    """The threads for what would keep the event loop waiting, as asyncio's own would be with the right number."""
    return ThreadPoolExecutor(min(MOST_THREADS, processors() + WAITING), thread_name_prefix="work")


def calm_libraries() -> None:
    """Have numpy start no threads of its own; before it is loaded, and unless the environment says otherwise."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")


def _quota(cgroup: Path) -> float:
    """Processors that the group may use in a period, infinite without a bound: version 2, then version 1."""
    quota, _, period = _read(cgroup / "cpu.max").partition(" ")
    if not quota:
        quota, period = _read(cgroup / "cpu/cpu.cfs_quota_us"), _read(cgroup / "cpu/cpu.cfs_period_us")
    if not (quota.isdigit() and period.isdigit() and int(period)):
        return math.inf
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
