"""The `injection` rule's judgement of a text: a score for the whole, and the places that it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from llmops_sidecars.guard.rules.injection.encodings import pieces_of
from llmops_sidecars.guard.rules.injection.evidence import Scores, logits
from llmops_sidecars.guard.rules.injection.features import Meaning, features_of, meaning_of
from llmops_sidecars.guard.rules.injection.model import Model, model
from llmops_sidecars.guard.rules.injection.patterns import Shape, shapes_of
from llmops_sidecars.guard.rules.injection.scripts import bucket_of, group_of
from llmops_sidecars.guard.rules.injection.segments import Segment, groups, sentences, windows
from llmops_sidecars.guard.rules.injection.words import Words, words_of

Span = tuple[int, int, str, float]
"""Characters from and to before, the kind of attack, and a score from 0 to 1."""

ATTACK = 0.5
"""The score from which a text is taken for an attack, whatever its length and language."""

NOTHING = -6.0
"""Log-odds that stand for evidence that a text is too short to have."""

UNNAMED = "instruction"
"""The kind of a place that has no known shape."""


@dataclass(frozen=True)
class Evidence:
    """What the classifier says of each part of a text."""

    said: Words
    meaning: Meaning
    parts: list[Segment]
    sentences: Scores
    groups: Scores
    group_parts: list[Segment]

    @cached_property
    def shapes(self) -> list[Shape]:
        """The known shapes in the text."""
        return shapes_of(self.said, self.meaning)


def evidence_of(text: str, using: Model) -> Evidence | None:
    """Weigh all sentences and groups of them; None for a text without words."""
    said = words_of(text)
    parts = sentences(said.words)
    if not parts:
        return None
    meaning = meaning_of(said)
    features = features_of(said, meaning)
    together = groups(parts) or parts
    scores = logits(features, using.weights, using.offset, [*parts, *together])
    return Evidence(said, meaning, parts, scores[: len(parts)], scores[len(parts) :], together)


def summary(found: Evidence) -> NDArray[np.float64]:
    """The figures that the whole is judged by.

    Best sentences and groups, the best window's mean, how many known shapes, and a constant.
    """
    single = np.sort(found.sentences)[::-1]
    double = np.sort(found.groups)[::-1]
    best = [single[place] if place < len(single) else NOTHING for place in range(3)]
    names = {name for name, *_ in found.shapes}
    return np.array([*best, double[0], max(single[0], double[0]), _best_window(found), min(len(names), 3), 1.0], float)


def _best_window(found: Evidence) -> float:
    """The highest mean of the sentences of one window."""
    starts = np.array([start for start, _ in found.parts])
    means = []
    for start, end in windows(len(found.said.words)):
        low, high = np.searchsorted(starts, (start, end))
        if high > low:
            means.append(float(found.sentences[low:high].mean()))
    return max(means, default=NOTHING)


def score(text: str) -> float:
    """From 0 to 1: an attack from `ATTACK` on."""
    return max([_score(text), *(_score(piece.text) for piece in pieces_of(text))])


def spans(text: str, threshold: float = ATTACK) -> list[Span]:
    """The places of a text that make it an attack; none when its score is under the threshold."""
    encoded = ((piece.start, piece.end, "encoded", _score(piece.text)) for piece in pieces_of(text))
    return sorted([*_spans(text, threshold), *(one for one in encoded if one[3] >= threshold)])


def _score(text: str) -> float:
    using = model()
    found = evidence_of(text, using)
    return 0.0 if found is None else _share(_margin(text, found, using))


def _margin(text: str, found: Evidence, using: Model) -> float:
    """Log-odds above what texts of this length and language are held to."""
    threshold = using.thresholds[group_of(found.said.words)][bucket_of(len(text))]
    return float((summary(found) * using.total).sum()) - threshold


def _share(margin: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(margin, -30, 30))))


def _spans(text: str, threshold: float) -> list[Span]:
    using = model()
    found = evidence_of(text, using)
    if found is None or (value := _share(_margin(text, found, using))) < threshold:
        return []
    return [(*_characters(found.said, part), _kind(found, part), value) for part in _guilty(found)]


def _guilty(found: Evidence) -> list[Segment]:
    """Sentences that look like an attack, the neighbours joined; at least the best sentence or group."""
    sure = [part for part, logit in zip(found.parts, found.sentences, strict=True) if logit > 0]
    if not sure:
        both = [*zip(found.sentences, found.parts, strict=True), *zip(found.groups, found.group_parts, strict=True)]
        sure = [max(both)[1]]
    joined = [sure[0]]
    for start, end in sure[1:]:
        if start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _kind(found: Evidence, part: Segment) -> str:
    inside = [name for name, start, end in found.shapes if start < part[1] and end > part[0]]
    return max(sorted(set(inside)), key=inside.count) if inside else UNNAMED


def _characters(said: Words, part: Segment) -> tuple[int, int]:
    return said.starts[part[0]], said.ends[part[1] - 1]
