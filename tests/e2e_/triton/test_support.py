"""The helper itself: what it starts ends, however it ends, and leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import triton as support
from tests.support.triton import REGION_PREFIX, SHARED_MEMORY, TritonServer, is_alive, running_triton
from tests.support.triton_files import merged

ROOT = Path(__file__).parents[3]
CHILD = """
import sys
from tests.support.triton import TritonServer
with TritonServer() as server:
    print(server.process.pid, *server.model_processes(), flush=True)
    sys.stdin.read()
"""


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def regions(owner: int) -> list[Path]:
    return list(SHARED_MEMORY.glob(f"{REGION_PREFIX}{owner}-*"))


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        pytest.param({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}, id="values"),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}, id="mappings"),
        pytest.param({"a": {"b": 1}}, {"a": None}, {"a": None}, id="a value for a mapping"),
        pytest.param({"a": 1}, {"b": {"c": 2}}, {"a": 1, "b": {"c": 2}}, id="something new"),
    ],
)
def test_a_configuration_is_laid_over_another(base: Any, over: Any, expected: Any) -> None:
    assert merged(base, over) == expected


def test_ports_differ_and_are_free() -> None:
    ports = support.free_ports(20)
    assert len(set(ports)) == 20
    assert all(port in support.PORTS for port in ports)


def test_regions_of_dead_test_runs_are_removed_and_others_kept() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    stale, own = (SHARED_MEMORY / f"{REGION_PREFIX}{owner}-probe_1" for owner in (dead.pid, os.getpid()))
    for region in (stale, own):
        region.touch()
    try:
        support.remove_stale_regions()
        assert (stale.exists(), own.exists()) == (False, True)
    finally:
        own.unlink()


@pytest.mark.triton
def test_a_server_leaves_nothing() -> None:
    before = set(regions(os.getpid()))
    with running_triton() as server:
        processes = [server.process.pid, *server.model_processes()]
        own = set(regions(os.getpid())) - before
        assert len(processes) == 2
        assert own
    until(lambda: not any(map(is_alive, processes)))
    assert not any(region.exists() for region in own)


@pytest.mark.triton
def test_a_server_ends_in_order_when_asked() -> None:
    with running_triton() as server:
        assert server.terminate(seconds=15) == 0


@pytest.mark.triton
def test_a_server_does_not_outlive_its_test_run(triton: TritonServer) -> None:
    assert triton.process.poll() is None  # Triton runs on this machine: what follows is no skip in disguise
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        processes = [int(word) for word in run.stdout.readline().split()]
        run.send_signal(signal.SIGKILL)
    assert len(processes) == 2
    until(lambda: not any(map(is_alive, processes)))
    support.remove_stale_regions()
    assert regions(run.pid) == []
