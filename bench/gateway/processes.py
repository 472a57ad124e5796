"""Programs under measurement: pinned to a core, frozen while they are not measured, and read from /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MEBIBYTE = 1024 * 1024
KIBIBYTE = 1024


class StartError(Exception):
    """A program did not start; the message is one line."""


@dataclass(frozen=True)
class Cores:
    """Which cores do what: the generator has one of its own, and so has whoever is measured."""

    generator: int
    upstream: int
    contender: int


def cores(available: Sequence[int]) -> Cores:
    """Share the cores out; raises StartError when there is but one."""
    if len(available) < 2:  # noqa: PLR2004 - one for the generator, one for the contender
        raise StartError("two cores are needed: one for the load generator and one for what is measured")
    return Cores(available[0], available[1] if len(available) > 2 else available[0], available[-1])  # noqa: PLR2004


@dataclass(frozen=True)
class Program:
    """How a program is started. `variables` are added to the environment; `name` names its log and its figures."""

    name: str
    command: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None


class Running:
    """A program that runs on one core, with the children that it starts, as a process group of its own."""

    def __init__(self, program: Program, core: int, logs: Path) -> None:
        """Start it; what it prints goes to a file, as the output of a container does."""
        self.program = program
        self.log = logs / f"{program.name}.log"
        with self.log.open("wb") as output:
            # setpriv: whatever becomes of the bench, what it started does not outlive it
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "taskset", "--cpu-list", str(core), *program.command],
                cwd=program.directory,
                env={**os.environ, **program.variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The first process."""
        return self._process.pid

    def members(self) -> list[int]:
        """All processes of the group."""
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if _group(path) == self._process.pid]

    def freeze(self) -> None:
        """Keep it from running."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again."""
        self._signal(signal.SIGCONT)

    def cpu_seconds(self) -> float:
        """Processor time of all its threads so far, to the nanosecond."""
        return sum(_cpu_seconds(pid) for pid in self.members())

    def memory(self) -> tuple[float, float]:
        """Resident memory now and at its highest, in MiB."""
        found = [_memory(pid) for pid in self.members()]
        return sum(now for now, _ in found), sum(most for _, most in found)

    def require_alive(self) -> None:
        """Raise StartError with the log's last line when the program has ended."""
        if self._process.poll() is not None:
            raise StartError(f"{self.program.name} ended: {last_line(self.log)}")

    def stop(self) -> None:
        """End it and its children, at once: it has nothing to save, and a drain would take seconds."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def until_ready(url: str, running: Sequence[Running], seconds: float) -> None:
    """Wait until a URL answers with 200; raises StartError when a program ends or time is over."""
    end = time.monotonic() + seconds
    while not _answers(url):
        for one in running:
            one.require_alive()
        if time.monotonic() > end:
            raise StartError(f"{running[0].program.name} is not ready after {seconds:g} s: {last_line(running[0].log)}")
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody uses now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def busy_seconds(core: int) -> float:
    """How long a core has worked since the machine started, whoever it worked for."""
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        if line.startswith(f"cpu{core} "):
            user, nice, system, _idle, _wait, interrupts, soft, steal = map(int, line.split()[1:9])
            return (user + nice + system + interrupts + soft + steal) / os.sysconf("SC_CLK_TCK")
    raise StartError(f"/proc/stat does not know core {core}")


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return next((line[-300:] for line in reversed(lines) if line), "it said nothing")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - an address of this machine
            return bool(response.status == 200)  # noqa: PLR2004
    except (urllib.error.URLError, OSError):
        return False


def _group(process: Path) -> int | None:
    """The group of a process; None for one that has ended, waited for or not."""
    with contextlib.suppress(OSError):
        state, _parent, group = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[:3]
        return None if state == "Z" else int(group)
    return None


def _cpu_seconds(pid: int) -> float:
    return sum(_nanoseconds(thread) for thread in _threads(pid)) / 1e9


def _threads(pid: int) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from Path(f"/proc/{pid}/task").iterdir()


def _nanoseconds(thread: Path) -> int:
    with contextlib.suppress(OSError):
        return int((thread / "schedstat").read_text(encoding="ascii").split()[0])
    return 0


def _memory(pid: int) -> tuple[float, float]:
    fields = {}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(("VmRSS", "VmHWM")):
                fields[line[:5]] = int(line.split()[1]) * KIBIBYTE / MEBIBYTE
    return fields.get("VmRSS", 0.0), fields.get("VmHWM", 0.0)
