"""Training of the small convolution: Adam over windows of words whose vectors stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmops_sidecars.guard.rules.injection.net import COLUMNS, EACH, LAYOUT, SIZES, STEP
from llmops_sidecars.guard.rules.injection.tokens import FIRST

Floats = NDArray[np.float32]
Windows = NDArray[np.int32]
"""One row a window of `LENGTH` tokens, rows of the table; `NOTHING` behind a text's end."""

LENGTH = 2 * STEP
NOTHING = -1
FILTERS = EACH * len(SIZES)
HIDDEN = 16

EPOCHS, BATCH, RATE, DECAY = 5, 256, 3e-3, 1e-4
WORDS_DROPPED, FILTERS_DROPPED = 0.25, 0.1
"""Shares left out at random, so that no single word or filter is relied on."""

WARMING = 0.3
"""Share of the steps in which the rate rises; it falls in the others."""

Weights = dict[str, Floats]
"""`special` vectors of the tokens without a word, `taps`, `bias`, `hidden`, `hidden_bias`, `last`, `offset`."""


@dataclass(frozen=True)
class Batch:
    """Windows with their labels, and how much each counts."""

    windows: Windows
    labels: Floats
    importance: Floats


def learn(vectors: Floats, data: Batch, seed: int) -> Weights:
    """Weights for windows of words with these vectors, which begin with the row `FIRST`."""
    chance = np.random.default_rng(seed)
    weights = _begin(vectors.shape[1], chance)
    first = {name: np.zeros_like(one) for name, one in weights.items()}
    second = {name: np.zeros_like(one) for name, one in weights.items()}
    steps = EPOCHS * -(-len(data.labels) // BATCH)
    for step, batch in enumerate(_batches(data, chance)):
        slopes = _slopes(weights, vectors, batch, chance)
        rate = RATE * _warmth((step + 1) / steps)
        for name, slope in slopes.items():
            first[name] = (first[name] * 0.9 + slope * 0.1).astype(np.float32)
            second[name] = (second[name] * 0.999 + np.square(slope) * 0.001).astype(np.float32)
            moved = first[name] / (1 - 0.9 ** (step + 1))
            width = np.sqrt(second[name] / (1 - 0.999 ** (step + 1))) + 1e-8
            weights[name] = (weights[name] * (1 - rate * DECAY) - rate * moved / width).astype(np.float32)
    return weights


def table_of(weights: Weights, vectors: Floats) -> tuple[NDArray[np.int8], Floats]:
    """What each word adds to each filter in steps, and each filter's step: as `net` looks it up."""
    products = np.concatenate((weights["special"], vectors)) @ weights["taps"]
    owners = np.concatenate([np.arange(EACH) + place * EACH for place, _ in LAYOUT])
    largest = np.array([np.abs(products[:, owners == one]).max() for one in range(FILTERS)], np.float32)
    steps = largest / np.float32(127)
    return np.rint(products / steps[owners]).astype(np.int8), steps


def _begin(width: int, chance: np.random.Generator) -> Weights:
    def some(*shape: int, wide: float) -> Floats:
        return (chance.standard_normal(shape) * wide).astype(np.float32)

    return {
        "special": some(FIRST, width, wide=0.3),
        "taps": np.concatenate(
            [some(width, EACH, wide=1 / np.sqrt(3 * width * SIZES[place])) for place, _ in LAYOUT], axis=1
        ),
        "bias": np.zeros(FILTERS, np.float32),
        "hidden": some(FILTERS, HIDDEN, wide=1 / np.sqrt(FILTERS)),
        "hidden_bias": np.zeros(HIDDEN, np.float32),
        "last": some(HIDDEN, wide=1 / np.sqrt(HIDDEN)),
        "offset": np.zeros(1, np.float32),
    }


def _batches(data: Batch, chance: np.random.Generator) -> Iterator[Batch]:
    for _ in range(EPOCHS):
        order = chance.permutation(len(data.labels))
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            yield Batch(data.windows[some], data.labels[some], data.importance[some])


def _warmth(share: float) -> float:
    """Up and down again like half a wave."""
    place = share / WARMING if share < WARMING else 1 + (share - WARMING) / (1 - WARMING)
    return float(0.5 - 0.5 * np.cos(np.pi * place))


def _seen(weights: Weights, vectors: Floats, windows: Windows, chance: np.random.Generator) -> Floats:
    """Vectors of the tokens, some left out; zeros where there is none."""
    kept = (windows != NOTHING) & (chance.random(windows.shape, np.float32) >= WORDS_DROPPED)
    seen = np.zeros((*windows.shape, vectors.shape[1]), np.float32)
    known, special = kept & (windows >= FIRST), kept & (windows < FIRST)
    seen[known] = vectors[windows[known] - FIRST]
    seen[special] = weights["special"][windows[special]]
    return seen


def _pooled(products: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """The highest sum of each filter, and where: the place of its last word, from 0."""
    count, length = products.shape[:2]
    sums = [np.zeros((count, length + size - 1, EACH), np.float32) for size in SIZES]
    for block, (place, back) in enumerate(LAYOUT):
        sums[place][:, back : back + length] += products[:, :, block * EACH : (block + 1) * EACH]
    where = [one.argmax(axis=1) for one in sums]
    best = [np.take_along_axis(one, at[:, None], axis=1)[:, 0] for one, at in zip(sums, where, strict=True)]
    return np.concatenate(best, axis=1), np.concatenate(where, axis=1)


def _slopes(weights: Weights, vectors: Floats, batch: Batch, chance: np.random.Generator) -> Weights:
    """The gradient of the mean logistic loss."""
    seen = _seen(weights, vectors, batch.windows, chance)
    count, length, width = seen.shape
    products = (seen.reshape(-1, width) @ weights["taps"]).reshape(count, length, COLUMNS)
    best, where = _pooled(products)
    kept = (chance.random(best.shape, np.float32) >= FILTERS_DROPPED) / np.float32(1 - FILTERS_DROPPED)
    open_ = (best + weights["bias"] > 0) * kept
    filtered = (best + weights["bias"]) * open_
    inner = filtered @ weights["hidden"] + weights["hidden_bias"]
    passed = np.maximum(inner, 0)
    scores = passed @ weights["last"] + weights["offset"]
    wrong = (1 / (1 + np.exp(-scores)) - batch.labels) * batch.importance / batch.importance.sum()
    back_inner = wrong[:, None] * weights["last"] * (inner > 0)
    back = back_inner @ weights["hidden"].T * open_
    spread = _spread(back.astype(np.float32), where, length)
    flat = spread.reshape(-1, COLUMNS)
    return {
        "taps": seen.reshape(-1, width).T @ flat,
        "special": _special(batch.windows, seen, flat @ weights["taps"].T),
        "bias": back.sum(axis=0),
        "hidden": filtered.T @ back_inner,
        "hidden_bias": back_inner.sum(axis=0),
        "last": passed.T @ wrong,
        "offset": wrong.sum(keepdims=True),
    }


def _spread(returned: Floats, where: NDArray[np.int64], length: int) -> Floats:
    """What comes back to each product: only the words of the highest sums get any."""
    count = len(returned)
    spread = np.zeros((count, length, COLUMNS), np.float32)
    rows = np.arange(count)[:, None]
    for block, (place, back) in enumerate(LAYOUT):
        chosen = slice(place * EACH, (place + 1) * EACH)
        words = where[:, chosen] - back
        inside = (words >= 0) & (words < length)
        columns = np.arange(block * EACH, (block + 1) * EACH)
        spread[rows, np.clip(words, 0, length - 1), columns] = returned[:, chosen] * inside
    return spread


def _special(windows: Windows, seen: Floats, back: Floats) -> Floats:
    """What comes back to the vectors of the tokens without a word."""
    summed = np.zeros((FIRST, seen.shape[2]), np.float32)
    flat = windows.reshape(-1)
    there = seen.reshape(len(flat), -1).any(axis=1)
    for row in range(FIRST):
        summed[row] = back[(flat == row) & there].sum(axis=0)
    return summed
