"""How much parts of a text look like an attack: the classifier's sums over sentences and groups of them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llmops_sidecars.guard.rules.injection.features import BLOCKS, CHAINS, Features, Kind, Places
from llmops_sidecars.guard.rules.injection.segments import Segment

Scores = NDArray[np.float32]


class Weights(Protocol):
    """The weights of places in the hashed space."""

    def __getitem__(self, places: Places, /) -> Scores:
        """One for each place."""


SCALES = (2.0, 4.0, 2.0, 3.0)
"""How much words, pieces of words, and concepts count at the same weight."""

DAMPING = (0.0, 0.0, 1.0, 0.0)
"""Added to the number of features before its root is taken."""


def logits(features: Features, weights: Weights, offset: float, segments: list[Segment]) -> Scores:
    """One log-odds for each segment: for each block the sum of its weights over the root of their number."""
    starts, ends = np.array(segments, np.int64).reshape(-1, 2).T
    total = np.full(len(segments), offset, np.float32)
    for block, scale, damping in zip(BLOCKS, SCALES, DAMPING, strict=True):
        sums = np.zeros(len(segments), np.float64)
        counts = np.zeros(len(segments), np.int64)
        for kind in block:
            adding, number = _sums(features[kind], weights, starts, ends, ordered=kind != CHAINS)
            sums += adding
            counts += number
        total += (scale * sums / np.sqrt(np.maximum(counts + damping, 1))).astype(np.float32)
    return total


def _sums(
    kind: Kind, weights: Weights, starts: NDArray[np.int64], ends: NDArray[np.int64], *, ordered: bool
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sum of weights and number of features wholly inside each segment."""
    worth = weights[kind.places]
    running = np.concatenate(([0.0], np.cumsum(worth, dtype=np.float64)))
    low = np.searchsorted(kind.firsts, starts)
    high = np.searchsorted(kind.lasts if ordered else kind.firsts, ends)
    high = np.maximum(low, high)
    sums, counts = running[high] - running[low], high - low
    if not ordered:
        for index, (first, last, end) in enumerate(zip(low, high, ends, strict=True)):
            beyond = kind.lasts[first:last] >= end
            if beyond.any():
                sums[index] -= worth[first:last][beyond].sum()
                counts[index] -= int(beyond.sum())
    return sums, counts
