from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.cluster import enter, processes

PROGRAM = [sys.executable, "-I", enter.__file__, str(os.getpid())]
root = pytest.mark.skipif(os.geteuid() != 0, reason="entering namespaces needs root")


def _run(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *words], cwd=cwd, capture_output=True, text=True, check=False)


@root
def test_the_command_runs_in_the_callers_directory_with_more_variables(tmp_path: Path) -> None:
    done = _run("COLOUR=dark blue", "--", "sh", "-c", 'pwd; echo "$COLOUR $HOME"', cwd=tmp_path)
    assert done.stdout.splitlines() == [str(tmp_path), f"dark blue {os.environ['HOME']}"]


@root
@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 128 + signal.SIGTERM), ("kill -KILL $$", 128 + signal.SIGKILL)],
)
def test_the_status_is_the_commands(script: str, status: int) -> None:
    assert _run("--", "sh", "-c", script).returncode == status


@root
def test_a_command_is_looked_for_on_the_given_path(tmp_path: Path) -> None:
    (tmp_path / "only-there").write_text("#!/bin/sh\necho found\n")
    (tmp_path / "only-there").chmod(0o755)
    assert _run(f"PATH={tmp_path}:/bin:/usr/bin", "--", "only-there").stdout == "found\n"


@root
def test_a_command_that_does_not_exist_is_named() -> None:
    done = _run("--", "no-such-command")
    assert (done.returncode, done.stderr) == (127, "no-such-command: No such file or directory\n")


@root
def test_a_signal_reaches_the_command_which_may_take_its_time() -> None:
    script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen([*PROGRAM, "--", "sh", "-c", script], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.terminate()
        assert running.stdout.read() == "bye\n"
    assert running.returncode == 3


@root
def test_a_signal_that_comes_before_the_command_does_is_passed_on() -> None:
    with subprocess.Popen([*PROGRAM, "--", "sleep", "60"]) as running:
        assert processes.wait_until(10, lambda: bool(processes.only_child(running.pid)))
        running.terminate()
    assert running.returncode == 128 + signal.SIGTERM


@root
def test_the_command_does_not_outlive_the_caller() -> None:
    with subprocess.Popen([*PROGRAM, "--", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert processes.wait_until(10, lambda: bool(processes.only_child(running.pid)))
        command = processes.of(processes.only_child(running.pid) or 0)
        running.kill()
        assert processes.wait_until(10, lambda: not command.alive())


@root
def test_a_process_that_is_gone_cannot_be_entered() -> None:
    gone = subprocess.run(
        [sys.executable, "-I", enter.__file__, "4194305", "--", "true"], capture_output=True, check=False
    )
    assert gone.returncode == 1
    assert b"/proc/4194305/ns/ipc" in gone.stderr
