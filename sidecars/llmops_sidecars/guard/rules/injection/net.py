"""The first look at every text: a small convolution over words, whose products are a table that is only looked up.

Each filter looks at one, two or three neighbours. What a word adds to each filter is known beforehand, as one signed
byte, so that a text costs a look-up a word, two additions, and the highest figure of each window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmops_sidecars.guard.rules.injection.tokens import Index, Rows

SIZES = (1, 2, 3)
"""Words that the filters look at."""

EACH = 16
"""Filters of each size."""

LAYOUT = tuple((place, back) for back in range(SIZES[-1]) for place, size in enumerate(SIZES) if size > back)
"""Blocks of `EACH` columns of the table: which size, and how many words before a filter's last one."""

COLUMNS = EACH * len(LAYOUT)

STEP = 20
"""Tokens from a window to the next; a window has twice as many."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Head:
    """What follows the filters: one scale and bias a filter, a hidden layer, and one figure, the log-odds."""

    scales: Floats
    bias: Floats
    hidden: Floats
    hidden_bias: Floats
    last: Floats
    offset: float

    def of(self, highest: NDArray[np.float32]) -> Floats:
        """Log-odds of windows from the highest sum of each filter, one row a window."""
        seen = np.maximum(highest * self.scales + self.bias, 0)
        inner = np.maximum(seen @ self.hidden + self.hidden_bias, 0)
        odds: Floats = inner @ self.last + np.float32(self.offset)
        return odds


@dataclass(frozen=True)
class Net:
    """`table` has `COLUMNS` bytes a row and is mapped from its file: only what texts use is in memory."""

    index: Index
    table: NDArray[np.int8]
    head: Head

    def windows(self, rows: Rows) -> Floats:
        """Log-odds of each window of `2 * STEP` tokens, one for each `STEP` tokens; none without tokens."""
        return self.head.of(highest(self.table[rows])) if len(rows) else np.zeros(0, np.float32)


def windows_of(length: int) -> list[tuple[int, int]]:
    """The tokens of each window."""
    steps = max(-(-length // STEP) - 1, 1) if length else 0
    return [(step * STEP, min((step + 2) * STEP, length)) for step in range(steps)]


def highest(taps: NDArray[np.int8]) -> NDArray[np.float32]:
    """The highest sum of each filter in each window, from what each word adds."""
    length, widest, lowest = len(taps), SIZES[-1], np.iinfo(np.int16).min
    blocks = -(-(length + widest - 1) // STEP)
    sums = np.zeros((blocks * STEP, EACH * len(SIZES)), np.int16)
    sums[:length] = taps[:, : EACH * len(SIZES)]
    column = EACH * len(SIZES)
    for back in range(1, widest):
        sums[length + back - 1 :, EACH * (back - 1) : EACH * back] = lowest
        many = EACH * (len(SIZES) - back)
        sums[back : back + length, EACH * back :] += taps[:, column : column + many]
        column += many
    sums[length + widest - 1 :] = lowest
    best = sums.reshape(blocks, STEP, -1).max(axis=1)
    pairs = np.maximum(best[:-1], best[1:]) if blocks > 1 else best
    found: NDArray[np.float32] = pairs[: max(-(-length // STEP) - 1, 1)].astype(np.float32)
    return found
