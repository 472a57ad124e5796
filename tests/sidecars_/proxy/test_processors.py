from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmops_sidecars.proxy.processors import MOST_THREADS, WAITING, processors

CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "100001 100000"}, min(2, CORES)),
        ({"cpu.max": "99999999 100000"}, CORES),
        ({"cpu.max": "max 100000"}, CORES),
        ({"cpu.max": ""}, CORES),
        ({"cpu.max": "nonsense"}, CORES),
        ({"cpu/cpu.cfs_quota_us": "20000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, CORES),
        ({}, CORES),
    ],
)
def test_the_groups_quota_bounds_the_processors(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{content}\n")
    assert processors(tmp_path) == expected


SHOW = """
import asyncio, gc, os, threading
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from llmops_sidecars.proxy import server

async def main():
    loop = asyncio.get_running_loop()
    many = 200
    await asyncio.gather(*(asyncio.to_thread(threading.Event().wait, 0.01) for _ in range(many)))
    names = [one.name for one in threading.enumerate() if one is not threading.main_thread()]
    print(type(loop).__module__, len(names), names[0].rpartition("_")[0])

server.run(main)
"""


def test_a_process_has_threads_by_its_share_and_the_fast_loop() -> None:
    shown = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, check=True, text=True)
    assert shown.stdout == f"uvloop {min(MOST_THREADS, 1 + WAITING)} work\n"


LOADED = """
import os
from llmops_sidecars.proxy.processors import calm_libraries

calm_libraries()
import numpy

numpy.ones((500, 500)) @ numpy.ones((500, 500))
print(len(os.listdir("/proc/self/task")), os.environ["OMP_NUM_THREADS"])
"""


@pytest.mark.parametrize("chosen", ["1", "2"])
def test_numpy_has_no_threads_of_its_own_unless_somebody_wants_them(chosen: str) -> None:
    """Where there is one core, there is nothing to be seen of them but the environment."""
    wanted = {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"} if chosen == "2" else {}
    others = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    shown = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, check=True, text=True, env=others | wanted
    )
    assert shown.stdout == f"{min(int(chosen), CORES)} {chosen}\n"
