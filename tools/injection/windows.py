"""Texts as windows of tokens for the first look, each with its label."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmops_sidecars.guard.rules.injection.net import windows_of
from llmops_sidecars.guard.rules.injection.tokens import Index, tokens_of
from tools.injection.learn import LENGTH, NOTHING, Batch, Windows
from tools.injection.texts import Text

MOST_HARMLESS = 6
"""Windows of one text that are learned from as harmless."""

ENOUGH = 12
"""Tokens of an attack that make a window harmful; all of them where there are fewer. One with less is left out."""


@dataclass(frozen=True)
class Windowed:
    """Windows with their labels and the number of the text of each."""

    windows: Windows
    labels: NDArray[np.bool_]
    texts: NDArray[np.int64]


def windowed(texts: Sequence[Text], index: Index, chance: random.Random) -> Windowed:
    """Windows of all texts, as many of the harmless ones of each as are learned from."""
    rows: list[NDArray[np.int32]] = []
    labels: list[bool] = []
    owners: list[int] = []
    for number, text in enumerate(texts):
        for window, harmful in _labelled(text, index, chance):
            rows.append(window)
            labels.append(harmful)
            owners.append(number)
    return Windowed(np.array(rows), np.array(labels), np.array(owners))


def batch_of(seen: Windowed, chosen: Sequence[bool]) -> Batch:
    """The windows of the chosen texts; a text's windows share its weight by the root."""
    there = np.array(chosen)[seen.texts]
    owners = seen.texts[there]
    importance = 1 / np.sqrt(np.bincount(owners)[owners])
    return Batch(seen.windows[there], seen.labels[there].astype(np.float32), importance.astype(np.float32))


def _labelled(text: Text, index: Index, chance: random.Random) -> list[tuple[NDArray[np.int32], bool]]:
    said = tokens_of(text.text, index)
    inside = (said.starts < text.attack[1]) & (said.ends > text.attack[0])
    enough = min(int(inside.sum()), ENOUGH)
    harmful, harmless = [], []
    for start, end in windows_of(len(said.rows)):
        window = np.full(LENGTH, NOTHING, np.int32)
        window[: end - start] = said.rows[start:end]
        part = int(inside[start:end].sum())
        if part == 0:
            harmless.append((window, False))
        elif part >= enough:
            harmful.append((window, True))
    if len(harmless) > MOST_HARMLESS:
        harmless = chance.sample(harmless, MOST_HARMLESS)
    return harmful + harmless
