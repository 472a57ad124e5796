"""What words mean, which meanings harm together, and what surroundings make of it: three files, read once."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from llmops_sidecars.contract import HarmCategory

HARMLESS = "HARMLESS"
"""The concept of phrases in which sharp words are none."""

ANY_ENDING = "*"

BEGINNING = 4
"""Characters by which most texts are told with which nothing begins."""


@dataclass(frozen=True)
class Combination:
    """Concepts that harm when they stand in one sentence, with `gap` characters between two of them at most."""

    category: HarmCategory
    score: float
    gap: int
    concepts: tuple[str, ...]


class Words:
    """Words and phrases, searched in one pass."""

    def __init__(self, entries: Mapping[str, tuple[str, ...]]) -> None:
        """Make the search."""
        self._entries = [(concepts, said.endswith(ANY_ENDING)) for said, concepts in entries.items()]
        self._sorted = sorted(said.removesuffix(ANY_ENDING) for said in entries)
        self.longest = max(map(len, self._sorted))
        self._beginnings = {said[:length] for said in self._sorted for length in range(1, BEGINNING + 1)}
        self._search = AhoCorasick(
            [said.removesuffix(ANY_ENDING) for said in entries],
            matchkind=MatchKind.Standard,
            store_patterns=False,
            implementation=Implementation.ContiguousNFA,
        )

    def begins(self, text: str) -> bool:
        """Whether any of them begins with a text."""
        if text[:BEGINNING] not in self._beginnings:
            return False
        place = bisect_left(self._sorted, text)
        return place < len(self._sorted) and self._sorted[place].startswith(text)

    def found(self, text: str) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        """Start, end and concepts of all that are words of a text, or begin one, in order; they may overlap.

        Of those that begin together the longest comes first.
        """
        begun = [
            (start, -end, index)
            for index, start, end in self._search.find_matches_as_indexes(text, overlapping=True)
            if not start or not text[start - 1].isalnum()
        ]
        begun.sort()
        for start, end, index in begun:
            concepts, is_stem = self._entries[index]
            if is_stem or -end == len(text) or not text[-end].isalnum():
                yield start, -end, concepts


@dataclass(frozen=True)
class Lexicon:
    """All of it. `sharp`: words without which nothing harms, and harmless phrases around them; `common`: all others.

    `frames`: factors by frame.
    """

    sharp: Words
    common: Words
    combinations: tuple[Combination, ...]
    frames: Mapping[str, Mapping[HarmCategory, float]]

    @cached_property
    def by_sharp(self) -> Mapping[str, list[Combination]]:
        """The combinations by the first of their concepts that is none of all texts; each has one."""
        found: dict[str, list[Combination]] = {}
        for one in self.combinations:
            found.setdefault(next(concept for concept in one.concepts if concept not in COMMON), []).append(one)
        return found

    @cached_property
    def loose(self) -> frozenset[str]:
        """Concepts that harm together with nothing."""
        return frozenset({*self.frames, HARMLESS})


COMMON = frozenset(
    {"CHILD", "GET", "GROUP", "HIDE", "HOWTO", "INTO", "MAKE", "PERSON", "PLACE", "STORY", "THREAT", "WANT", "YOU"}
)
"""Concepts that harm only together with others."""


@cache
def lexicon() -> Lexicon:
    """Read the files that ship with this package."""
    known: dict[str, tuple[str, ...]] = {}
    for concept, said in entries():
        known[said] = (*known.get(said, ()), concept)
    combinations, frames = tuple(_combinations()), dict(_frames())
    parts: tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]] = ({}, {})
    for said, concepts in known.items():
        for one in concepts:
            part = parts[one in COMMON or one in frames]
            part[said] = (*part.get(said, ()), one)
    return Lexicon(Words(parts[0]), Words(parts[1]), combinations, frames)


def entries() -> Iterator[tuple[str, str]]:
    """Concepts and what is said for them, in the order of the file."""
    concept = ""
    for line in _lines("lexicon.txt"):
        if line.startswith("= "):
            concept = line.removeprefix("= ")
        else:
            yield from ((concept, said.replace("_", " ").strip()) for said in line.split())


def _combinations() -> Iterator[Combination]:
    for line in _lines("rules.txt"):
        category, score, gap, *concepts = line.split()
        yield Combination(HarmCategory(category), float(score), int(gap), tuple(concepts))


def _frames() -> Iterator[tuple[str, dict[HarmCategory, float]]]:
    for line in _lines("frames.txt"):
        frame, *factors = line.split()
        given = dict(factor.split("=") for factor in factors)
        usual = float(given.pop("*", "1"))
        yield frame, {category: float(given.get(category.value, usual)) for category in HarmCategory}


def _lines(file: str) -> Iterator[str]:
    text = resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
    return (line for line in text.splitlines() if line and not line.startswith("//"))
