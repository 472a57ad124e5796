"""Where a text is cut: sentences, groups of neighbouring sentences, windows over the whole."""

from __future__ import annotations

from llmops_sidecars.guard.rules.injection.letters import LINE

ENDS = frozenset(".!?。！？؟।…;") | {LINE, "!!", "!!!", "??", "...", "?!"}
"""Signs that end a sentence."""

SHORTEST, LONGEST = 3, 40
"""Words of a sentence: shorter ones go with the next, longer ones are cut in two that overlap by half."""

GROUP = 3
"""Neighbouring sentences that are read together."""

WINDOW, STEP = 340, 255
"""Words of a window (about 512 tokens) and of the way to the next one: 25 % overlap."""

Segment = tuple[int, int]
"""From a word to before another."""


def sentences(words: list[str]) -> list[Segment]:
    """The whole text as sentences, none of them long."""
    cut: list[Segment] = []
    start = 0
    for index, word in enumerate(words):
        if word in ENDS and index + 1 - start > SHORTEST:
            cut.append((start, index + 1))
            start = index + 1
    if start < len(words):
        cut.append((start, len(words)))
    return [piece for segment in cut for piece in _pieces(segment)]


def groups(parts: list[Segment]) -> list[Segment]:
    """Each sentence with its neighbours after it."""
    if len(parts) < 2:  # noqa: PLR2004 - two make a group
        return []
    return [(parts[i][0], parts[min(i + GROUP, len(parts)) - 1][1]) for i in range(max(len(parts) - GROUP + 1, 1))]


def windows(length: int) -> list[Segment]:
    """Windows of equal size over all words; the last one ends with the text."""
    if length <= WINDOW:
        return [(0, length)] if length else []
    starts = [*range(0, length - WINDOW, STEP), length - WINDOW]
    return [(start, start + WINDOW) for start in starts]


def _pieces(segment: Segment) -> list[Segment]:
    start, end = segment
    if end - start <= LONGEST:
        return [segment]
    half = LONGEST // 2
    return [(first, min(first + LONGEST, end)) for first in range(start, end - half, half)]
