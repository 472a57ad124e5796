"""A text as the lexicon sees it: small letters, one space between words, its words with their meanings, sentences."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

import numpy as np

from llmops_sidecars.guard.rules.harm.lexicon import HARMLESS, Words
from llmops_sidecars.guard.rules.normal import normal
from llmops_sidecars.guard.rules.scan import replaced

APOSTROPHES = dict.fromkeys("\u2019\u02bc\u2032", "'")

ENDS, ENDS_BEFORE_SPACE = "\u3002\uff01\uff1f", ".!?;"
"""What ends a sentence."""


class Hit(NamedTuple):
    """A word or phrase of the lexicon at its place."""

    start: int
    end: int
    concepts: tuple[str, ...]


class Said:
    """A text; it prints without it."""

    def __init__(self, text: str) -> None:
        """Fold it."""
        self._normal = normal(text)
        small = self._normal.text
        self.text = small if small.isascii() else replaced(small, APOSTROPHES)
        self._common: dict[int, list[Hit]] = {}

    def place(self, index: int) -> int:
        """Where a place of this text is in the text that it was made of."""
        return self._normal.place(index)

    def hits(self, words: Words, begin: int = 0, stop: int | None = None) -> list[Hit]:
        """Words in order and apart: the first one counts, of those that begin together the longest.

        A harmless phrase counts before a sharp word whose end it goes on from: no fake is a "fake plant". `begin` and
        `stop` are ends of sentences.
        """
        kept: list[Hit] = []
        reached = 0
        for start, end, concepts in words.found(self.text[begin:stop]):
            if start >= reached:
                kept.append(Hit(begin + start, begin + end, concepts))
            elif HARMLESS in concepts and end > reached:
                kept[-1] = Hit(begin + start, begin + end, concepts)
            else:
                continue
            reached = end
        return kept

    def sentence(self, index: int) -> tuple[int, int]:
        """Where the sentence around a place begins and ends."""
        before = bisect_right(self._ends, index)
        begin = self._ends[before - 1] if before else 0
        return begin, self._ends[before] if before < len(self._ends) else len(self.text)

    def sentences(self, hits: list[Hit]) -> Iterator[tuple[int, int, list[Hit]]]:
        """Each sentence that has any of these, which are in order: where it begins and ends, and those in it."""
        for (begin, end), found in groupby(hits, key=lambda hit: self.sentence(hit.start)):
            yield begin, end, list(found)

    def common(self, words: Words, begin: int, stop: int) -> list[Hit]:
        """Words in the sentences from one end to another, each of which is searched once."""
        found: list[Hit] = []
        while begin < stop:
            _, end = self.sentence(begin)
            if begin not in self._common:
                self._common[begin] = self.hits(words, begin, end)
            found += self._common[begin]
            begin = end
        return found

    @cached_property
    def _ends(self) -> list[int]:
        codes = np.frombuffer(self.text.encode("utf-16-le", "surrogatepass"), np.uint16)
        if len(codes) != len(self.text):
            encoded = self.text.encode("utf-32-le", "surrogatepass")
            codes = np.minimum(np.frombuffer(encoded, np.uint32), len(_KINDS) - 1).astype(np.uint16)
        kinds = _KINDS[codes]
        places = np.flatnonzero(kinds > SPACE_BEHIND)
        marks, behind = kinds[places], kinds[np.minimum(places + 1, len(kinds) - 1)]
        ends: list[int] = (
            places[(marks == END) | ((marks == END_BEFORE_SPACE) & (behind == SPACE_BEHIND))] + 1
        ).tolist()
        return ends


SPACE_BEHIND, END_BEFORE_SPACE, END = 1, 2, 3
"""What a character is: a space, what ends a sentence before one, what always ends it; 0 for others."""

_KINDS = np.zeros(0x10000, np.uint8)
_KINDS[[ord(mark) for mark in ENDS]] = END
_KINDS[[ord(mark) for mark in ENDS_BEFORE_SPACE]] = END_BEFORE_SPACE
_KINDS[ord(" ")] = SPACE_BEHIND
