"""A text as the lexicon sees it: small letters, one space between words, its words with their meanings, sentences."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from llmops_sidecars.guard.rules.harm.lexicon import HARMLESS, Words
from llmops_sidecars.guard.rules.normal import normal
from llmops_sidecars.guard.rules.scan import replaced

APOSTROPHES = dict.fromkeys("\u2019\u02bc\u2032", "'")

ASCII_ENDS = (". ", "! ", "? ", "; ")
ENDS = (*ASCII_ENDS, "\u3002", "\uff01", "\uff1f")
"""What ends a sentence with its first character."""

NEAR = 256
"""Characters in which an end is looked for first; then in twice as many, and so on."""


@dataclass(frozen=True)
class Hit:
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
        self._sentence = (0, 0)

    def place(self, index: int) -> int:
        """Where a place of this text is in the text that it was made of."""
        return self._normal.place(index)

    def hits(self, words: Words, begin: int = 0, stop: int | None = None) -> list[Hit]:
        """Words in order and apart: the first one counts, of those that begin together the longest.

        A harmless phrase counts before a sharp word whose end it goes on from: no fake is a "fake plant". `begin` and
        `stop` are ends of sentences.
        """
        kept: list[Hit] = []
        found = words.found(self.text[begin:stop])
        for first, last, concepts in sorted(found, key=lambda one: (one[0], -one[1])):
            start, end = begin + first, begin + last
            if not kept or start >= kept[-1].end:
                kept.append(Hit(start, end, concepts))
            elif HARMLESS in concepts and end > kept[-1].end:
                kept[-1] = Hit(start, end, concepts)
        return kept

    def sentence(self, index: int) -> tuple[int, int]:
        """Where the sentence around a place begins and ends."""
        begin, end = self._sentence
        if not begin <= index < end:
            self._sentence = begin, end = _end_before(self.text, index), _end_after(self.text, index)
        return begin, end

    def sentences(self, hits: list[Hit], sharp: list[Hit]) -> Iterator[list[Hit]]:
        """The words, in order, of each sentence that has a sharp one."""
        for begin, end in dict.fromkeys(self.sentence(hit.start) for hit in sharp):
            yield hits[bisect_left(hits, begin, key=_start) : bisect_left(hits, end, key=_start)]


def _ends(text: str) -> tuple[str, ...]:
    return ASCII_ENDS if text.isascii() else ENDS


def _end_before(text: str, index: int) -> int:
    """The last end up to a place; 0 when there is none."""
    reach = NEAR
    while True:
        first = max(index - reach, 0)
        end = max([text.rfind(mark, max(first - 1, 0), index + len(mark) - 1) for mark in _ends(text)]) + 1
        if end or not first:
            return end
        reach *= 2


def _end_after(text: str, index: int) -> int:
    """The first end behind a place; the text's when there is none."""
    reach = NEAR
    while True:
        found = [place + 1 for mark in _ends(text) if (place := text.find(mark, index, index + reach)) >= 0]
        if found or index + reach >= len(text):
            return min(found, default=len(text))
        reach *= 2


def _start(hit: Hit) -> int:
    return hit.start
