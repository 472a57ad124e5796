"""The trained figures that ship with this package: weights, how evidence is summed up, and thresholds."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from llmops_sidecars.guard.rules.injection.features import BITS
from llmops_sidecars.guard.rules.injection.scripts import GROUPS, LENGTHS

WEIGHTS, FIGURES = "weights.i8", "figures.json"
"""One signed byte a place of the hashed space; all else, and the digests of both and of what they were made from."""

STEPS = 127
"""Of a weight to each side; they are square roots, so that small weights keep their differences."""


@dataclass(frozen=True)
class Model:
    """`total` weighs the evidence of a text, its last figure is the offset; `thresholds` by group and length bucket."""

    weights: NDArray[np.float32]
    offset: float
    total: NDArray[np.float64]
    thresholds: dict[str, tuple[float, ...]]


@cache
def model() -> Model:
    """Read the files; raises ValueError when they do not belong together."""
    here = resources.files(__package__)
    figures = json.loads(here.joinpath(FIGURES).read_text(encoding="utf-8"))
    content = here.joinpath(WEIGHTS).read_bytes()
    if hashlib.sha256(content).hexdigest() != figures["digests"][WEIGHTS] or len(content) != 1 << BITS:
        raise ValueError(f"{WEIGHTS} does not belong to {FIGURES}: install the package again, or train again")
    if set(figures["thresholds"]) != set(GROUPS) or any(
        len(t) != len(LENGTHS) + 1 for t in figures["thresholds"].values()
    ):
        raise ValueError(f"{FIGURES} has thresholds of other groups or lengths: train again")
    return Model(
        unpacked(np.frombuffer(content, np.int8), figures["largest"]),
        figures["offset"],
        np.array(figures["total"]),
        {group: tuple(bounds) for group, bounds in figures["thresholds"].items()},
    )


def packed(weights: NDArray[np.float64]) -> tuple[bytes, float]:
    """Weights as bytes, and the largest of them."""
    largest = float(np.abs(weights).max())
    steps = np.rint(np.sqrt(np.abs(weights) / largest) * STEPS) * np.sign(weights)
    return steps.astype(np.int8).tobytes(), largest


def unpacked(steps: NDArray[np.int8], largest: float) -> NDArray[np.float32]:
    """Weights from their steps."""
    share = steps.astype(np.float32) / STEPS
    return (share * np.abs(share) * np.float32(largest)).astype(np.float32)
