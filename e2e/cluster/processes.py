"""Processes, told apart by pid *and* start time: a pid alone may belong to another process by now."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.errors import ClusterError

PROC = Path("/proc")
POLL = 0.02


@dataclass(frozen=True)
class Process:
    """One process; `started` is in clock ticks since the machine's start, `boot` names that start."""

    pid: int
    started: int
    boot: str

    def alive(self) -> bool:
        """Whether this very process still runs (an ended one that nobody has reaped does not)."""
        facts = _facts(self.pid)
        return facts is not None and facts.started == self.started and facts.state != "Z" and boot() == self.boot

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def paused(self) -> bool:
        """Whether a stop signal holds it."""
        facts = _facts(self.pid)
        return facts is not None and facts.state in "Tt"


@dataclass(frozen=True)
class _Facts:
    state: str
    started: int


def of(pid: int) -> Process:
    """The process that has this pid now; raises ClusterError when there is none."""
    facts = _facts(pid)
    if facts is None:
        raise ClusterError(f"process {pid} ended at once")
    return Process(pid, facts.started, boot())


def boot() -> str:
    """The identity of the machine's current start."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def only_child(pid: int) -> int | None:
    """The first child of a process, None when it has none."""
    try:
        children = (PROC / str(pid) / "task" / str(pid) / "children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(children[0]) if children else None


def namespace(pid: int, kind: str) -> str | None:
    """The identity of a process's namespace (`kind` as in /proc/PID/ns), None when the process is gone."""
    try:
        return str((PROC / str(pid) / "ns" / kind).readlink())
    except OSError:
        return None


def in_namespace(kind: str, identity: str) -> list[int]:
    """The pids of all processes in that namespace."""
    return [pid for pid in pids() if namespace(pid, kind) == identity]


def pids() -> Iterator[int]:
    """All pids."""
    return (int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal())


def with_arguments(*wanted: str) -> list[Process]:
    """The processes whose command line has all of these words."""
    found = []
    for pid in pids():
        with suppress(OSError, ClusterError):  # it may end while it is looked at
            words = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if set(wanted) <= set(words):
                found.append(of(pid))
    return found


def wait_until(seconds: float, condition: Callable[[], bool]) -> bool:
    """Poll until the condition holds; False when the seconds are over first."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(POLL)
    return True


def _facts(pid: int) -> _Facts | None:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2 :].split()  # the name before may hold spaces and parentheses; see proc(5)
    return _Facts(state=fields[0], started=int(fields[19]))
