"""One measurement: the generator on its core, a contender on its own, and what both and the kernel say of it."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.gateway.contenders import Contender
from bench.gateway.plan import Answers, Load
from bench.gateway.processes import Cores, Program, Running, StartError, busy_seconds, free_ports, until_ready

START_SECONDS = 90.0
SETTLE_SECONDS = 10.0
QUIET_SHARE = 0.05
"""A contender that uses less than this share of its core has done its work."""

WARM_UP = (
    Load("warm up", "closed", Answers(0, 0, 16), seconds=1, warm=0, connections=2),
    Load("warm up, streams", "closed", Answers(0, 0, 16), seconds=1, warm=0, connections=2, streams=True),
)


@dataclass(frozen=True)
class Measurement:
    """What one load made of one contender. Processor time in seconds; `foreign`: share of the core that others took."""

    figures: dict[str, Any]
    cpu: float = 0.0
    foreign: float = 0.0


@dataclass(frozen=True)
class Bench:
    """The upstream that runs, the generator's program, and who runs where."""

    program: Path
    cores: Cores
    upstream: str

    def answer(self, answers: Answers) -> None:
        """Have the upstream answer so from now on."""
        self._ask("PUT", "/settings", {"first": answers.first, "inter": answers.inter, "tokens": answers.tokens})

    def generate(self, contender: Contender, load: Load, further: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start the generator."""
        flags = [flag for header in contender.headers for flag in ("-header", header)]
        told = ["-upstream", self.upstream] if load.mode == "abort" else []
        command = [str(self.program), load.mode, "-url", contender.url, *load.arguments(), *flags, *told, *further]
        pinned = ["taskset", "--cpu-list", str(self.cores.generator), *command]
        return subprocess.Popen(pinned, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def measure(self, contender: Contender, load: Load, running: Sequence[Running]) -> Measurement:
        """Put a load on a contender that is awake."""
        self.answer(load.answers)
        cpu, busy, started = _cpu(running), busy_seconds(self.cores.contender), time.monotonic()
        figures = result(self.generate(contender, load))
        spent = _cpu(running) - cpu
        taken = busy_seconds(self.cores.contender) - busy - spent
        return Measurement(figures, spent, max(taken / (time.monotonic() - started), 0.0))

    def settle(self, running: Sequence[Running]) -> None:
        """Wait until nothing is under way: what a load left behind is not the next one's."""
        end = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < end:
            before = _cpu(running)
            time.sleep(0.1)
            if self.seen()["running"] == 0 and _cpu(running) - before < 0.1 * QUIET_SHARE:
                return

    def seen(self) -> dict[str, Any]:
        """What the upstream has seen since it was last told how to answer."""
        return dict(self._ask("GET", "/stats"))

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.upstream + path, data, method=method)  # noqa: S310 - this machine's
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310 - the same
            said = response.read()
        return json.loads(said) if said else None


def result(generator: subprocess.Popen[str]) -> dict[str, Any]:
    """What the generator has measured; raises StartError with its last words when it failed."""
    out, err = generator.communicate()
    if generator.returncode:
        raise StartError(f"the load generator failed: {err.strip()[-300:]}")
    return dict(json.loads(out))


@contextmanager
def upstream(program: Path, at: Cores, logs: Path) -> Iterator[Bench]:
    """Run the upstream of fixed delays."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    running = Running(Program("upstream", [str(program), "upstream", "-listen", address]), at.upstream, logs)
    try:
        until_ready(f"http://{address}/stats", [running], START_SECONDS)
        yield Bench(program, at, f"http://{address}")
    finally:
        running.stop()


@contextmanager
def started(contender: Contender, core: int, logs: Path) -> Iterator[list[Running]]:
    """A contender's programs, ready."""
    with ExitStack() as stack:
        running = []
        for program in contender.programs:
            one = Running(program, core, logs)
            stack.callback(one.stop)
            running.append(one)
        if contender.ready:
            until_ready(contender.ready, running, START_SECONDS)
        yield running


def warm_up(bench: Bench, contender: Contender, running: Sequence[Running], expected: float | None) -> float:
    """Use it for two seconds, and make sure that its answers are whole; returns the characters of an answer.

    Raises StartError for a contender that fails requests or loses text: it would look fast.
    """
    lengths = [_first_answers(bench, contender, running, load) for load in WARM_UP]
    bench.settle(running)
    if expected is not None and abs(sum(lengths) - expected) > 0.5:  # noqa: PLR2004 - half a character
        raise StartError(f"answers have {sum(lengths):.1f} characters instead of {expected:.1f}")
    return sum(lengths)


def _first_answers(bench: Bench, contender: Contender, running: Sequence[Running], load: Load) -> float:
    """Characters of an answer; some gateways load half of themselves only now, and take long for the first one."""
    end = time.monotonic() + START_SECONDS
    while not (figures := bench.measure(contender, load, running).figures)["answered"]:
        if figures["failures"] or time.monotonic() > end:
            raise StartError(f"it does not answer: {figures['failures'] or f'nothing within {START_SECONDS:g} s'}")
    return float(figures["characters"] / figures["answered"])


def _cpu(running: Sequence[Running]) -> float:
    return sum(one.cpu_seconds() for one in running)
