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
from functools import lru_cache
from operator import itemgetter

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
    """Where something harms by the lexicon, how, and how much."""
    said, known, wanted = Said(text), lexicon(), frozenset(categories)
    sharp = [hit for hit in said.hits(known.sharp) if HARMLESS not in hit.concepts]
    return [
        (said.place(start), said.place(end - 1) + 1, one.category, one.score * factor)
        for begin, stop, hits in said.sentences(sharp)
        for start, end, one, factor in _harming(said, begin, stop, hits, wanted)
    ]


def _harming(
    said: Said, begin: int, stop: int, sharp: list[Hit], wanted: frozenset[HarmCategory]
) -> Iterator[tuple[int, int, Combination, float]]:
    """What harms in a sentence, and what its surroundings make of it; those are looked at only then."""
    hits = sorted([*said.common(lexicon().common, begin, stop), *sharp], key=itemgetter(0, 1))
    possible = _possible(frozenset(concept for hit in hits for concept in hit.concepts))
    runs = [(run, one) for one in possible if one.category in wanted for run in _runs(hits, one)]
    frames = _frames(said, begin, stop) if runs else []
    yield from ((start, end, one, _factor(frames, start, end, begin, one)) for (start, end), one in runs)


def _frames(said: Said, begin: int, stop: int) -> list[Hit]:
    """Words of a sentence and shortly before it that are frames, in order."""
    first, _ = said.sentence(max(begin - BEFORE, 0))
    frames = lexicon().frames.keys()
    return [hit for hit in said.common(lexicon().common, first, stop) if not frames.isdisjoint(hit.concepts)]


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


@lru_cache(1024)
def _possible(said: frozenset[str]) -> tuple[Combination, ...]:
    """The combinations of which a sentence has all concepts."""
    known = lexicon().by_sharp
    maybe = (one for concept in sorted(said & known.keys()) for one in known[concept])
    return tuple(one for one in maybe if said.issuperset(one.concepts))


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


def _factor(frames: list[Hit], start: int, end: int, begin: int, one: Combination) -> float:
    """What the surroundings make of a score; `begin`: where the sentence does."""
    near = frames[bisect_left(frames, start - BEFORE, key=_start) : bisect_left(frames, end + AFTER, key=_start)]
    around = {concept for hit in near for concept in hit.concepts if hit.start >= begin or concept in SETTING}
    factors = sorted(lexicon().frames[frame][one.category] for frame in around if frame in lexicon().frames)
    return math.prod(factors[:MOST_FRAMES])


def _start(hit: Hit) -> int:
    return hit.start
