"""Texts as rows for the fit: sentences and groups of them, each with its label."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmops_sidecars.guard.rules.injection.evidence import DAMPING, SCALES
from llmops_sidecars.guard.rules.injection.features import BLOCKS, CHAINS, Features, features_of, meaning_of
from llmops_sidecars.guard.rules.injection.segments import Segment, groups, sentences
from llmops_sidecars.guard.rules.injection.words import Words, words_of
from tools.injection.fit import Rows, Vector
from tools.injection.texts import Text

MOST_HARMLESS, MOST_HARMFUL = 6, 12
"""Segments of one text that are learned from, of each level."""

COVERED, COVERING = 0.6, 0.8
"""A segment is harmful when so much of it is the attack, or so much of the attack is in it."""


@dataclass(frozen=True)
class Row:
    """Features of a segment: `text` is the number of its text."""

    text: int
    harmful: bool
    columns: NDArray[np.int32]
    values: NDArray[np.float32]


def rows_of(texts: Sequence[Text], chance: random.Random) -> list[Row]:
    """Some segments of every text; those with a part of an attack only are left out."""
    return [row for number, text in enumerate(texts) for row in _rows(number, text, chance)]


def together(rows: Iterable[Row]) -> tuple[Rows, Vector, Vector]:
    """The rows in one piece, their labels, and how much each counts: a text's segments share its weight by the root."""
    chosen = list(rows)
    lengths = np.array([len(row.columns) for row in chosen])
    begins = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    joined = Rows(
        np.concatenate([row.columns for row in chosen]), np.concatenate([row.values for row in chosen]), begins
    )
    labels = np.array([row.harmful for row in chosen], float)
    kinds = np.array([row.text * 2 + row.harmful for row in chosen])
    _, inverse, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    return joined, labels, 1 / np.sqrt(counts[inverse])


def _rows(number: int, text: Text, chance: random.Random) -> list[Row]:
    said = words_of(text.text)
    parts = sentences(said.words)
    if not parts:
        return []
    features = features_of(said, meaning_of(said))
    inside = _inside(said, text.attack)
    made = []
    for level in (parts, groups(parts)):
        for harmful, segment in _labelled(level, inside, chance):
            columns, values = _row(features, segment)
            if len(columns):
                made.append(Row(number, harmful, columns, values))
    return made


def _inside(said: Words, attack: tuple[int, int]) -> NDArray[np.int64]:
    """How many words of the attack stand before each word."""
    start, end = attack
    hit = [first < end and last > start for first, last in zip(said.starts, said.ends, strict=True)]
    return np.concatenate(([0], np.cumsum(hit)))


def _labelled(level: list[Segment], inside: NDArray[np.int64], chance: random.Random) -> list[tuple[bool, Segment]]:
    harmless, harmful = [], []
    for start, end in level:
        shared = inside[end] - inside[start]
        if shared == 0:
            harmless.append((False, (start, end)))
        elif shared >= COVERED * (end - start) or shared >= COVERING * inside[-1]:
            harmful.append((True, (start, end)))
    if len(harmless) > MOST_HARMLESS:
        harmless = chance.sample(harmless, MOST_HARMLESS)
    return harmful[:MOST_HARMFUL] + harmless


def _row(features: Features, segment: Segment) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """As `evidence.logits` weighs them."""
    columns, values = [], []
    for block, scale, damping in zip(BLOCKS, SCALES, DAMPING, strict=True):
        places = np.concatenate([_between(features, kind, segment) for kind in block])
        columns.append(places)
        values.append(np.full(len(places), scale / np.sqrt(max(len(places) + damping, 1)), np.float32))
    return np.concatenate(columns), np.concatenate(values)


def _between(features: Features, kind: int, segment: Segment) -> NDArray[np.int32]:
    start, end = segment
    chosen = features[kind]
    if kind != CHAINS:
        low, high = chosen.between(start, end)
        return chosen.places[low:high]
    low, high = np.searchsorted(chosen.firsts, (start, end))
    return chosen.places[low:high][chosen.lasts[low:high] < end]
