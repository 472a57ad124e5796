"""The trained figures that ship with this package: the first look's table, weights, sums of evidence, thresholds."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmops_sidecars.guard.rules.injection.evidence import Weights
from llmops_sidecars.guard.rules.injection.features import BITS, Places
from llmops_sidecars.guard.rules.injection.net import COLUMNS, Head, Net
from llmops_sidecars.guard.rules.injection.scripts import GROUPS, LENGTHS
from llmops_sidecars.guard.rules.injection.tokens import Index

WEIGHTS, FIGURES = "weights.i8", "figures.json"
"""One signed byte a place of the hashed space; all else, and digests of all files and of what they were made from."""

TABLE, WORDS = "table.i8", "words.u4"
"""What words add to the filters, and their hashes in order with their rows, both of four bytes."""

STEPS = 127
"""Of a weight to each side; they are square roots, so that small weights keep their differences."""


@dataclass(frozen=True)
class Packed:
    """Weights as they are kept, mapped from their file: those that are asked for are unpacked."""

    steps: NDArray[np.int8]
    largest: float

    def __getitem__(self, places: Places) -> NDArray[np.float32]:
        """The weight of each place."""
        return unpacked(self.steps[places], self.largest)


@dataclass(frozen=True)
class Model:
    """`net` and `least` decide what is looked at closely: parts of which the first look's log-odds are `least` or more.

    `total` weighs the evidence of a part, its last figure is the offset; `thresholds` by group and length bucket.
    """

    net: Net
    least: float
    weights: Weights
    offset: float
    total: NDArray[np.float64]
    thresholds: dict[str, tuple[float, ...]]


@cache
def model() -> Model:
    """Read the files; raises ValueError when they do not belong together."""
    here = Path(str(resources.files(__package__)))
    figures = json.loads((here / FIGURES).read_text(encoding="utf-8"))
    for name, size in ((WEIGHTS, 1 << BITS), (TABLE, None), (WORDS, None)):
        if _digest(here / name) != figures["digests"][name] or size not in {None, (here / name).stat().st_size}:
            raise ValueError(f"{name} does not belong to {FIGURES}: install the package again, or train again")
    if set(figures["thresholds"]) != set(GROUPS) or any(
        len(t) != len(LENGTHS) + 1 for t in figures["thresholds"].values()
    ):
        raise ValueError(f"{FIGURES} has thresholds of other groups or lengths: train again")
    return Model(
        _net(here, figures["head"]),
        figures["least"],
        Packed(_mapped(here / WEIGHTS, np.int8), figures["largest"]),
        figures["offset"],
        np.array(figures["total"]),
        {group: tuple(bounds) for group, bounds in figures["thresholds"].items()},
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _net(here: Path, head: dict[str, Any]) -> Net:
    hashes, rows = _mapped(here / WORDS, np.uint32).reshape(2, -1)
    return Net(Index(hashes, rows.view(np.int32)), _mapped(here / TABLE, np.int8).reshape(-1, COLUMNS), head_of(head))


def _mapped(path: Path, kind: type[Any]) -> NDArray[Any]:
    """A file as an array; what is not looked at is not in memory."""
    return np.asarray(np.memmap(path, kind, mode="r"))


def head_of(figures: dict[str, Any]) -> Head:
    """The layers behind the filters, from their figures."""
    arrays = {name: np.array(one, np.float32) for name, one in figures.items() if name != "offset"}
    return Head(offset=float(figures["offset"]), **arrays)


def packed(weights: NDArray[np.float64]) -> tuple[bytes, float]:
    """Weights as bytes, and the largest of them."""
    largest = float(np.abs(weights).max())
    steps = np.rint(np.sqrt(np.abs(weights) / largest) * STEPS) * np.sign(weights)
    return steps.astype(np.int8).tobytes(), largest


def unpacked(steps: NDArray[np.int8], largest: float) -> NDArray[np.float32]:
    """Weights from their steps."""
    share = steps.astype(np.float32) / STEPS
    return (share * np.abs(share) * np.float32(largest)).astype(np.float32)
