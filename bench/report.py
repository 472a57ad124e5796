"""What every benchmark writes: raw figures, where they come from, and goals."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
VERSIONS_OF = ("aiohttp", "kopf", "kubernetes", "msgspec", "pydantic", "tritonclient", "uvicorn")


@dataclass(frozen=True)
class Goal:
    """One measured value against the most (or least) that it should be; `goal` reads "<= 10"."""

    name: str
    value: float
    unit: str
    goal: str

    @property
    def met(self) -> bool:
        """Whether the value keeps the goal."""
        relation, _, bound = self.goal.partition(" ")
        return {"<=": float.__le__, ">=": float.__ge__}[relation](float(self.value), float(bound))


def median(figures: Sequence[float]) -> float:
    """The middle figure, rounded to three digits after the point."""
    return round(statistics.median(figures), 3)


def write(name: str, figures: dict[str, Any], goals: Sequence[Goal], say: Callable[[str], None] = print) -> Path:
    """Write `bench/results/NAME.json` and say how the goals stand; returns the file's path."""
    return save(document(name, figures, goals), say)


def document(name: str, figures: dict[str, Any], goals: Sequence[Goal]) -> dict[str, Any]:
    """What a file of results holds: where and when it was measured, the figures, and how the goals stand."""
    return {
        "name": name,
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "versions": {package: metadata.version(package) for package in VERSIONS_OF},
        "figures": figures,
        "goals": [asdict(goal) | {"met": goal.met} for goal in goals],
    }


def save(results: dict[str, Any], say: Callable[[str], None] = print) -> Path:
    """Write a document to `bench/results` and say how its goals stand; returns the file's path."""
    path = RESULTS / f"{results['name']}.json"
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    tell(results, say)
    return path


def tell(results: dict[str, Any], say: Callable[[str], None] = print) -> None:
    """Say how the goals stand."""
    for goal in results["goals"]:
        met = "met   " if goal["met"] else "MISSED"
        say(f"{met}  {goal['name']}: {goal['value']:g} {goal['unit']} (goal {goal['goal']})")


def _machine() -> dict[str, Any]:
    """Cores, memory and kernel: what a reader needs to judge the figures."""
    memory = next(line for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines() if "MemTotal" in line)
    cores = sum(line.startswith("processor") for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines())
    return {
        "cores": cores,
        "memory_gib": round(int(memory.split()[1]) / 1024**2, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
