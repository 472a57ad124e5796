"""Harm, by category: words with their meanings, meanings that harm together in a sentence, what stands around them.

A word alone is seldom harm: "kill" ends a process, "bomb" is for a bath. So a lexicon gives words concepts, and rules
say which concepts harm when they stand close together in one sentence (how to + make + explosive), and how much, from 0
to 1. Surroundings lower that: prevention, medicine, news, law, fiction, games, programs. What reaches the category's
threshold is found, from the first to the last word of it. A text without a sharp word costs one pass.

Everything is decided by what stands in the sentence and shortly before it, the same on a stream as in a whole text.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from llmops_sidecars.contract import Action, HarmCategory, HarmRule
from llmops_sidecars.guard.rules.finding import Check, Finding
from llmops_sidecars.guard.rules.harm.lexicon import HARMLESS, Combination, lexicon
from llmops_sidecars.guard.rules.harm.text import Hit, Said

RULE = "harm"
LABEL = "[HARMFUL]"
ACTIONS = frozenset({Action.REPORT, Action.MASK, Action.BLOCK})

BEFORE, AFTER = 200, 80
"""Characters around what harms in which a frame counts: those before may be another sentence."""

SETTING = frozenset({"TECH", "GAME", "FICTION"})
"""Frames that a sentence before may give: they say what all of it is about. Others excuse their own sentence only."""

MOST_FRAMES = 2
"""Frames that lower a score together: more say no more."""

LONGEST = 320
"""Characters that a stream is held for what may become harm."""

MOST_WORDS = 12
"""Words of the longest entry, where an apostrophe ends one."""

_WORD = re.compile(r"(?<!\w)\w")

Scored = tuple[int, int, HarmCategory, float]
"""Start, end, category, how much."""


def make(rule: HarmRule) -> Check:
    """The rule for its categories; raises ValueError for an action that it has not."""
    if rule.action not in ACTIONS:
        raise ValueError(f"harm: the action is Block, Mask or Report, not {rule.action}")
    thresholds = {one.category: one.threshold for one in rule.categories}

    def find(text: str) -> list[Finding]:
        return [
            Finding(start, end, RULE, category.value, LABEL, rule.action)
            for start, end, category, score in scored(text, thresholds)
            if score >= thresholds[category]
        ]

    return Check(RULE, find, tail=unfinished, longest=LONGEST, context=LONGEST + BEFORE)


def scored(text: str, categories: Iterable[HarmCategory]) -> list[Scored]:
    """Where something harms, how, and how much."""
    said, known, wanted = Said(text), lexicon(), frozenset(categories)
    sharp = [hit for hit in said.hits(known.sharp) if HARMLESS not in hit.concepts]
    if not sharp:
        return []
    common = [hit for begin, stop in _around(said, sharp) for hit in said.hits(known.common, begin, stop)]
    frames = [hit for hit in common if not known.frames.keys().isdisjoint(hit.concepts)]
    hits = sorted([*common, *sharp], key=lambda hit: (hit.start, hit.end))
    return [
        (said.place(start), said.place(end - 1) + 1, one.category, one.score * _factor(said, frames, start, end, one))
        for sentence in said.sentences(hits, sharp)
        for one in _possible(sentence, wanted)
        for start, end in _runs(sentence, one)
    ]


def _around(said: Said, sharp: list[Hit]) -> list[tuple[int, int]]:
    """The sentences with sharp words, and those before them that may have frames for them: all others say nothing."""
    regions: list[tuple[int, int]] = []
    for begin, stop in dict.fromkeys(said.sentence(hit.start) for hit in sharp):
        first, _ = said.sentence(max(begin - BEFORE, 0))
        if regions and first < regions[-1][1]:
            first, _ = regions.pop()
        regions.append((first, stop))
    return regions


def unfinished(text: str) -> int:
    """Where words begin at the end of a text that may harm together with what follows."""
    said, known = Said(text), lexicon()
    begin, _ = said.sentence(len(said.text))
    hits = [*said.hits(known.sharp, begin), *said.hits(known.common, begin)]
    place = _begun(said.text)
    for hit in sorted(hits, key=lambda hit: hit.end, reverse=True):
        if place - hit.end > AFTER:
            break
        if not known.loose.issuperset(hit.concepts):
            place = min(place, hit.start)
    return said.place(place)


def _begun(text: str) -> int:
    """Where the words begin at the end of a text that are the first ones of an entry, the last one perhaps cut."""
    known = lexicon()
    near = max(len(text) - max(known.sharp.longest, known.common.longest), 0)
    starts = [found.start() for found in _WORD.finditer(text, near)][-MOST_WORDS:]
    begun = (start for start in starts if known.sharp.begins(text[start:]) or known.common.begins(text[start:]))
    return next(begun, len(text))


def _possible(hits: list[Hit], wanted: frozenset[HarmCategory]) -> list[Combination]:
    """The combinations of which a sentence has all concepts."""
    said = frozenset(concept for hit in hits for concept in hit.concepts)
    known = lexicon().by_sharp
    maybe = (one for concept in said & known.keys() for one in known[concept])
    return [one for one in maybe if one.category in wanted and said.issuperset(one.concepts)]


def _runs(hits: list[Hit], one: Combination) -> Iterator[tuple[int, int]]:
    """Where all concepts of a combination stand in order, close to each other."""
    wanted = frozenset(one.concepts)
    begun: list[Hit] = []
    for hit in hits:
        if wanted.isdisjoint(hit.concepts):
            continue
        if begun and hit.start - begun[-1].end > one.gap:
            begun = []
        if begun and one.concepts[len(begun)] not in hit.concepts:
            begun = [*begun[:-1], hit] if one.concepts[len(begun) - 1] in hit.concepts else begun
        elif one.concepts[len(begun)] in hit.concepts:
            begun.append(hit)
        if len(begun) == len(one.concepts):
            yield begun[0].start, begun[-1].end
            begun = []


def _factor(said: Said, frames: list[Hit], start: int, end: int, one: Combination) -> float:
    """What the surroundings make of a score."""
    begin, stop = said.sentence(start)
    near = frames[
        bisect_left(frames, start - BEFORE, key=_start) : bisect_left(frames, min(end + AFTER, stop), key=_start)
    ]
    around = {concept for hit in near for concept in hit.concepts if hit.start >= begin or concept in SETTING}
    factors = sorted(lexicon().frames[frame][one.category] for frame in around if frame in lexicon().frames)
    return math.prod(factors[:MOST_FRAMES])


def _start(hit: Hit) -> int:
    return hit.start
