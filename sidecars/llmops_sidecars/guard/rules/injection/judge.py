"""The `injection` rule's judgement of a text: a score for the whole, and the places that it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from llmops_sidecars.guard.rules.injection.encodings import pieces_of
from llmops_sidecars.guard.rules.injection.evidence import Scores, logits
from llmops_sidecars.guard.rules.injection.features import Meaning, features_of, meaning_of
from llmops_sidecars.guard.rules.injection.model import Model, model
from llmops_sidecars.guard.rules.injection.net import windows_of
from llmops_sidecars.guard.rules.injection.patterns import Shape, shapes_of
from llmops_sidecars.guard.rules.injection.scripts import bucket_of, group_of
from llmops_sidecars.guard.rules.injection.segments import Segment, groups, sentences, windows
from llmops_sidecars.guard.rules.injection.tokens import Tokens, tokens_of
from llmops_sidecars.guard.rules.injection.words import Words, words_of

Span = tuple[int, int, str, float]
"""Characters from and to before, the kind of attack, and a score from 0 to 1."""

ATTACK = 0.5
"""The score from which a text is taken for an attack, whatever its length and language."""

NOTHING = -6.0
"""Log-odds that stand for evidence that a text is too short to have."""

CLEARED = 0.49
"""The highest score of what the first look calls harmless; lower thresholds look at all of it closely."""

MOST_PARTS, MOST_WINDOWS = 6, 8
"""Parts of a text that are looked at closely, and windows of one: the bound of what a text can cost."""

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
    odds: NDArray[np.float32]

    @cached_property
    def shapes(self) -> list[Shape]:
        """The known shapes in the text."""
        return shapes_of(self.said, self.meaning)


@dataclass(frozen=True)
class Part:
    """Characters from and to before which the first look is not sure of, and the log-odds of its windows."""

    start: int
    end: int
    odds: NDArray[np.float32]


def parts_of(said: Tokens, using: Model, least: float) -> list[Part]:
    """What has to be looked at closely, the most suspicious first: neighbouring windows together, within bounds."""
    odds = using.net.windows(said.rows)
    chosen = np.flatnonzero(odds >= least)
    if not len(chosen):
        return []
    runs = np.split(chosen, np.flatnonzero(np.diff(chosen) > 1) + 1)
    cut = [run[at : at + MOST_WINDOWS] for run in runs for at in range(0, len(run), MOST_WINDOWS)]
    best = sorted(cut, key=lambda run: -odds[run].max())[:MOST_PARTS]
    places = windows_of(len(said.rows))
    return [
        Part(int(said.starts[places[run[0]][0]]), int(said.ends[places[run[-1]][1] - 1]), odds[run]) for run in best
    ]


def evidence_of(text: str, using: Model, odds: NDArray[np.float32]) -> Evidence | None:
    """Weigh all sentences and groups of them; None for a text without words. `odds` are the first look's."""
    said = words_of(text)
    parts = sentences(said.words)
    if not parts:
        return None
    meaning = meaning_of(said)
    features = features_of(said, meaning)
    together = groups(parts) or parts
    scores = logits(features, using.weights, using.offset, [*parts, *together])
    return Evidence(said, meaning, parts, scores[: len(parts)], scores[len(parts) :], together, odds)


def summary(found: Evidence) -> NDArray[np.float64]:
    """The figures that the whole is judged by.

    Best sentences and groups, the best window's mean, how many known shapes, the first look's highest and mean
    log-odds, and a constant.
    """
    single = np.sort(found.sentences)[::-1]
    double = np.sort(found.groups)[::-1]
    best = [single[place] if place < len(single) else NOTHING for place in range(3)]
    names = {name for name, *_ in found.shapes}
    first = [found.odds.max(), found.odds.mean()]
    many = min(len(names), 3)
    return np.array([*best, double[0], max(single[0], double[0]), _best_window(found), many, *first, 1.0], float)


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
    return max((value for *_, value in _judged(text, 0.0)), default=0.0)


def spans(text: str, threshold: float = ATTACK) -> list[Span]:
    """The places of a text that make it an attack; none when its score is under the threshold."""
    return sorted(_judged(text, threshold))


def _judged(text: str, threshold: float) -> list[Span]:
    """Every place with a score from the threshold on; those of a decoded piece are one."""
    using = model()
    said = tokens_of(text, using.net.index)
    found = list(_spans(text, said, using, threshold))
    for piece in pieces_of(text, said):
        inside = [value for *_, value in _spans(piece.text, tokens_of(piece.text, using.net.index), using, threshold)]
        if inside:
            found.append((piece.start, piece.end, "encoded", max(inside)))
    return found


def _spans(text: str, said: Tokens, using: Model, threshold: float) -> Iterator[Span]:
    for part, found in weighed(text, said, using, using.least if threshold > CLEARED else -np.inf):
        most = 1.0 if part.odds.max() >= using.least else CLEARED
        if (value := min(_share(_margin(len(text), found, using)), most)) >= threshold:
            for guilty in _guilty(found):
                start, end = _characters(found.said, guilty)
                yield part.start + start, part.start + end, _kind(found, guilty), value


def weighed(text: str, said: Tokens, using: Model, least: float) -> Iterator[tuple[Part, Evidence]]:
    """The parts that are looked at closely, each with its evidence."""
    for part in parts_of(said, using, least):
        if (found := evidence_of(text[part.start : part.end], using, part.odds)) is not None:
            yield part, found


def _margin(length: int, found: Evidence, using: Model) -> float:
    """Log-odds above what texts of this length and language are held to."""
    threshold = using.thresholds[group_of(found.said.words)][bucket_of(length)]
    return float((summary(found) * using.total).sum()) - threshold


def _share(margin: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(margin, -30, 30))))


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
