from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from e2e.cluster import processes
from e2e.cluster.errors import ClusterError
from e2e.cluster.processes import Process

FOREVER = "import time; time.sleep(60)"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", FOREVER, "word-of-a-test"]) as running:
        yield running
        running.kill()


def test_this_process_is_alive_and_itself() -> None:
    this = processes.of(os.getpid())
    assert this.alive()
    assert this == processes.of(os.getpid())


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"started": 1}, id="the pid was used again"),
        pytest.param({"boot": "another"}, id="the machine was started again"),
        pytest.param({"pid": 2**22 + 1}, id="no such pid"),
    ],
)
def test_a_process_is_told_from_another_with_its_pid(change: dict[str, object]) -> None:
    other: Process = replace(processes.of(os.getpid()), **change)  # type: ignore[arg-type]  # a table of fields
    assert not other.alive()
    other.send(signal.SIGKILL)  # must not hit this process


def test_an_ended_process_is_not_alive_even_before_it_is_reaped(child: subprocess.Popen[bytes]) -> None:
    known = processes.of(child.pid)
    known.send(signal.SIGKILL)
    assert processes.wait_until(10, lambda: not known.alive())
    assert child.returncode is None


def test_a_stopped_process_is_paused_and_goes_on(child: subprocess.Popen[bytes]) -> None:
    known = processes.of(child.pid)
    assert not known.paused()
    known.send(signal.SIGSTOP)
    assert processes.wait_until(10, known.paused)
    assert known.alive()
    known.send(signal.SIGCONT)
    assert processes.wait_until(10, lambda: not known.paused())


def test_a_process_is_found_by_its_words(child: subprocess.Popen[bytes]) -> None:
    def found() -> list[int]:
        return [one.pid for one in processes.with_arguments("word-of-a-test", FOREVER)]

    assert processes.wait_until(10, lambda: found() == [child.pid])  # a new program has no words for a moment
    assert processes.with_arguments("word-of-a-test", "and another") == []


def test_a_process_is_found_by_its_parent() -> None:
    with subprocess.Popen(
        ["sh", "-c", "echo ready; cat; true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as shell:
        assert processes.wait_until(10, lambda: processes.only_child(shell.pid) is not None)
        child = processes.of(processes.only_child(shell.pid) or 0)
        shell.communicate()
    assert not child.alive()


def test_processes_are_found_by_their_namespace(child: subprocess.Popen[bytes]) -> None:
    network = processes.namespace(os.getpid(), "net")
    assert network is not None
    assert {os.getpid(), child.pid} <= set(processes.in_namespace("net", network))
    assert processes.in_namespace("net", "net:[1]") == []


def test_what_is_gone_has_no_facts(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    assert processes.namespace(child.pid, "net") is None
    assert processes.only_child(child.pid) is None
    with pytest.raises(ClusterError, match=f"process {child.pid} ended at once"):
        processes.of(child.pid)


def test_waiting_ends_when_the_condition_holds_or_the_time_is_over() -> None:
    answers = iter([False, False, True])
    assert processes.wait_until(10, lambda: next(answers))
    assert not processes.wait_until(0, lambda: False)
