"""All contenders under all loads, in rounds: whatever else the machine does meanwhile hits all alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.gateway.contenders import Contender
from bench.gateway.measure import Bench, Measurement, result, started, warm_up
from bench.gateway.plan import IDLE, LOADS, Load, scaled
from bench.gateway.processes import Running, StartError


@dataclass
class Entered:
    """A contender that runs, frozen."""

    contender: Contender
    running: list[Running]

    @contextmanager
    def awake(self) -> Iterator[list[Running]]:
        """Let it run for a while."""
        for one in self.running:
            one.thaw()
        try:
            yield self.running
        finally:
            for one in self.running:
                one.freeze()

    def memory(self) -> dict[str, dict[str, float]]:
        """Resident memory of each program in MiB, now and at its highest."""
        found = {one.program.name: one.memory() for one in self.running}
        return {name: {"now": round(now, 1), "most": round(most, 1)} for name, (now, most) in found.items()}


@dataclass
class Results:
    """Everything that was measured, one entry a measurement, and who could not take part."""

    measurements: list[dict[str, Any]] = field(default_factory=list)
    memory: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, number: int, contender: Contender, load: Load, measured: Measurement) -> None:
        """Keep a measurement."""
        entry = {"round": number, "contender": contender.name, "load": load.name}
        self.measurements.append(entry | asdict(measured))


@contextmanager
def entered(
    bench: Bench, contenders: Sequence[Contender], logs: Path, results: Results, say: Callable[[str], None]
) -> Iterator[list[Entered]]:
    """Start all, warm them up one at a time, and freeze them; one that fails is noted as missing."""
    with ExitStack() as stack:
        found: list[Entered] = []
        expected: float | None = None
        for contender in contenders:
            say(f"starting {contender.name}")
            try:
                running = stack.enter_context(started(contender, bench.cores.contender, logs))
                one = Entered(contender, running)
                with one.awake():
                    length = warm_up(bench, contender, running, expected)
            except StartError as error:
                results.missing[contender.name] = str(error)
                say(f"{contender.name} takes no part: {error}")
                continue
            expected = expected or length
            found.append(one)
        yield found


def run(
    bench: Bench,
    contenders: Sequence[Entered],
    count: int,
    seconds: float,
    results: Results,
    say: Callable[[str], None],
) -> None:
    """Measure; the order of the contenders moves on with each round."""
    for number in range(1, count + 1):
        first = number % len(contenders)
        ordered = [*contenders[first:], *contenders[:first]]
        say(f"round {number} of {count}: {IDLE.name}, all at once")
        together(bench, ordered, number, scaled(IDLE, seconds), results)
        for load in LOADS:
            say(f"round {number} of {count}: {load.name}")
            for one in ordered:
                alone(bench, one, number, scaled(load, seconds), results)
    for one in contenders:
        results.memory[one.contender.name] = one.memory()


def alone(bench: Bench, one: Entered, number: int, load: Load, results: Results) -> None:
    """One load on one contender while the others are frozen."""
    with one.awake() as running:
        try:
            results.add(number, one.contender, load, bench.measure(one.contender, load, running))
        except StartError as error:
            results.missing[f"{one.contender.name}, {load.name}"] = str(error)
        bench.settle(running)


def together(bench: Bench, contenders: Sequence[Entered], number: int, load: Load, results: Results) -> None:
    """One request a second to each, one contender after the other within the second."""
    bench.answer(load.answers)
    with ExitStack() as stack:
        for one in contenders:
            stack.enter_context(one.awake())
        slot = 1.0 / load.rate / len(contenders)
        generators = [
            (one, bench.generate(one.contender, load, ["-delay", f"{1 + index * slot:.4f}s"]))
            for index, one in enumerate(contenders)
        ]
        for one, generator in generators:
            results.add(number, one.contender, load, Measurement(result(generator)))
