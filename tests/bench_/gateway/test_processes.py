from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.gateway.processes import Program, Running, StartError, cores, free_ports, last_line, until_ready

WORK = "import time\nwhile True:\n    sum(range(1000))\n"


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Running]:
    core = max(os.sched_getaffinity(0))
    running = Running(Program("busy", [sys.executable, "-c", WORK]), core, tmp_path)
    yield running
    running.stop()


def worked(running: Running, seconds: float) -> None:
    """Wait until a program has worked for so long."""
    goal, end = running.cpu_seconds() + seconds, time.monotonic() + 20
    while running.cpu_seconds() < goal:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_generator_and_the_contender_have_a_core_each() -> None:
    assert vars(cores([0, 1])) == {"generator": 0, "upstream": 0, "contender": 1}
    assert vars(cores([2, 5, 7, 9])) == {"generator": 2, "upstream": 5, "contender": 9}
    with pytest.raises(StartError, match="two cores"):
        cores([3])


def test_a_program_runs_on_its_core_and_its_work_is_counted(busy: Running) -> None:
    worked(busy, 0.2)
    assert os.sched_getaffinity(busy.pid) == {max(os.sched_getaffinity(0))}
    now, most = busy.memory()
    assert 1 < now <= most < 100


def test_a_frozen_program_takes_no_time(busy: Running) -> None:
    worked(busy, 0.1)
    busy.freeze()
    time.sleep(0.05)  # until the signal has arrived
    before = busy.cpu_seconds()
    time.sleep(0.2)  # the time in which it would have worked
    assert busy.cpu_seconds() == before
    busy.thaw()
    worked(busy, 0.05)


def test_stopping_ends_the_children_too(tmp_path: Path) -> None:
    script = "sleep 100 & echo child; wait"
    running = Running(Program("parent", ["sh", "-c", script]), max(os.sched_getaffinity(0)), tmp_path)
    end = time.monotonic() + 10
    while len(running.members()) < 2:
        assert time.monotonic() < end
    running.stop()
    assert running.members() == []


def test_a_program_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    program = Program("broken", ["sh", "-c", "echo no configuration; exit 1"])
    running = Running(program, max(os.sched_getaffinity(0)), tmp_path)
    with pytest.raises(StartError, match="broken ended: no configuration"):
        until_ready(f"http://127.0.0.1:{free_ports(1)[0]}/", [running], 10)


def test_a_program_that_never_answers_is_given_up(busy: Running) -> None:
    with pytest.raises(StartError, match=r"busy is not ready after 0\.2 s: it said nothing"):
        until_ready(f"http://127.0.0.1:{free_ports(1)[0]}/", [busy], 0.2)


def test_the_last_line_is_the_last_that_says_something(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("first\nlast\n\n", encoding="utf-8")
    assert last_line(log) == "last"
