"""Where this project's time goes: py-spy looks at each process 250 times a second while it is under load."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.gateway import install
from bench.gateway.contenders import EVERYTHING, Contender, Place, ours
from bench.gateway.measure import Bench, result, started, upstream
from bench.gateway.plan import LOADS, Load, scaled
from bench.gateway.processes import Running, cores
from llmops_sidecars.contract import OpenAIEngine

RATE = 250
SHOWN = 40
LOADS_SHOWN = ("capacity", "streams", "chunks")


def main(form: str, seconds: float) -> int:
    """Print two tables for each process and load: functions by their own time, and with what they call."""
    pyspy = install.python_environment("tools") / "py-spy"
    with tempfile.TemporaryDirectory(prefix="bench-profile-") as directory:
        place, at = Path(directory), cores(sorted(os.sched_getaffinity(0)))
        with upstream(install.load_program(), at, place) as bench:
            engine = OpenAIEngine(f"{bench.upstream}/v1", ours.MODEL)
            contract = ours.engine_contract(engine, EVERYTHING)
            make = ours.pods if form == "pods" else ours.serve
            contender = make(Place(bench.upstream, place), contract, EVERYTHING)
            with started(contender, at.contender, place) as running:
                for load in (load for load in LOADS if load.name in LOADS_SHOWN):
                    text = _under(bench, contender, scaled(load, seconds), running, pyspy)
                    print(f"\n==== {form}, everything on, {load.name}: {text}")
    return 0


def _under(bench: Bench, contender: Contender, load: Load, running: list[Running], pyspy: Path) -> str:
    bench.answer(load.answers)
    generator = bench.generate(contender, load)
    before = {one.program.name: one.cpu_seconds() for one in running}
    watching = [(one, _watch(pyspy, one, load.seconds, bench.cores.generator)) for one in running]
    figures = result(generator)
    rate = figures["answered"] / figures["seconds"]
    text = [f"{rate:,.0f} answers/s"]
    for one, (watcher, target) in watching:
        watcher.wait()
        used = one.cpu_seconds() - before[one.program.name]
        each = used * 1e6 / max(figures["answered"] * (1 + load.warm / load.seconds), 1)
        counts = samples(target.read_text(encoding="utf-8").splitlines())
        text.append(f"\n-- {one.program.name}: {each:,.0f} µs of processor time an answer\n{report(*counts, each)}")
    return "\n".join(text)


def _watch(pyspy: Path, one: Running, seconds: float, core: int) -> tuple[subprocess.Popen[bytes], Path]:
    target = one.log.with_suffix(".stacks")
    options = ["--rate", str(RATE), "--duration", str(max(int(seconds), 1)), "--format", "raw"]
    command = [
        "taskset",
        "--cpu-list",
        str(core),
        str(pyspy),
        "record",
        "--pid",
        str(one.pid),
        *options,
        "--function",
        "--output",
        str(target),
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), target


def samples(stacks: Iterable[str]) -> tuple[Counter[str], Counter[str]]:
    """Samples by function, its own and with what it called, from py-spy's raw form: `a;b;c COUNT` a line."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        frames = [_short(frame) for frame in stack.split(";")]
        own[frames[-1]] += int(count)
        for frame in set(frames):
            total[frame] += int(count)
    return own, total


def report(own: Mapping[str, int], total: Mapping[str, int], each: float) -> str:
    """Both tables side by side, in microseconds of the `each` that an answer takes."""
    unit = each / (sum(own.values()) or 1)
    lines = [f"{'own µs':>8}  {'function':<64}  {'total µs':>8}  function"]
    left, right = _ranked(own), _ranked(total)
    for (mine, count), (theirs, sum_of) in zip(left, right, strict=False):
        lines.append(f"{count * unit:8.1f}  {mine:<64}  {sum_of * unit:8.1f}  {theirs}")
    return "\n".join(lines)


def _ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: -item[1])[:SHOWN]


def _short(frame: str) -> str:
    """The function and the end of its file's path."""
    name, _, place = frame.partition(" (")
    return f"{name} ({'/'.join(place.rstrip(')').split('/')[-2:])})" if place else name
