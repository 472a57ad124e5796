"""What a classifier of hashed n-grams makes of the same texts: the way that was not taken, for comparison.

Logistic regression over words, pairs of words and pieces of words, trained on the templates on which the lexicon was
tuned (`tuning.txt`), one template as heavy as another, with a fixed seed.
"""

from __future__ import annotations

import random
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BITS, SEED = 18, 1
EPOCHS, RATE, DECAY, PENALTY = 30, 0.5, 0.3, 1e-5
PIECES, PIECE_WEIGHT = (3, 4, 5), 0.3

Vector = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Places and values."""


class Classifier:
    """A trained one."""

    def __init__(self, texts: list[tuple[str, bool, float]]) -> None:
        """Train on texts, whether each harms, and how heavy it is."""
        self._weights, self._bias = np.zeros(1 << BITS), 0.0
        samples = [(_vector(text), harms, weight) for text, harms, weight in texts]
        draw = random.Random(SEED)
        for epoch in range(EPOCHS):
            draw.shuffle(samples)
            for vector, harms, weight in samples:
                self._learn(vector, harms=harms, rate=RATE / (1 + DECAY * epoch), weight=weight)

    def score(self, text: str) -> float:
        """Log odds."""
        places, values = _vector(text)
        return float(self._weights[places] @ values + self._bias)

    def _learn(self, vector: Vector, *, harms: bool, rate: float, weight: float) -> None:
        places, values = vector
        said = 1 / (1 + np.exp(-(self._weights[places] @ values + self._bias)))
        error = (said - harms) * weight
        self._weights[places] -= rate * (error * values + PENALTY * self._weights[places])
        self._bias -= float(rate * error / 10)


def _vector(text: str) -> Vector:
    counts: defaultdict[int, float] = defaultdict(float)
    for feature, weight in _features(re.findall(r"\w+", text.lower())):
        counts[zlib.crc32(feature.encode()) & ((1 << BITS) - 1)] += weight
    values = np.array(list(counts.values()))
    return np.array(list(counts)), values / (np.linalg.norm(values) or 1.0)


def _features(words: list[str]) -> Iterator[tuple[str, float]]:
    yield from ((f"w {word}", 1.0) for word in words)
    yield from ((f"b {first} {second}", 1.0) for first, second in pairwise(words))
    for word in (f"<{word}>" for word in words):
        for size in PIECES:
            yield from ((f"c {word[at : at + size]}", PIECE_WEIGHT) for at in range(len(word) - size + 1))
