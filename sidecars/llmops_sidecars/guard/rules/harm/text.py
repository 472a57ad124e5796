"""A text as the lexicon sees it: small letters, one space between words, its words with their meanings, sentences."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from llmops_sidecars.guard.rules.harm.lexicon import HARMLESS, Words

APOSTROPHES = "\u2019\u02bc\u2032"
WHITE = "\t\n\v\f\r\x1c\x1d\x1e\x1f"
WHITE_BEYOND = "".join(one for one in map(chr, range(0x80, 0x3001)) if one.isspace())

_SPACES = re.compile("  +")
_END = re.compile("[.!?;]+(?= )|[\u3002\uff01\uff1f]")


@dataclass(frozen=True)
class Hit:
    """A word or phrase of the lexicon at its place."""

    start: int
    end: int
    concepts: tuple[str, ...]


class Said:
    """A text; it prints without it."""

    def __init__(self, text: str) -> None:
        """Fold it, and keep where each place comes from."""
        small = _small(text)
        pieces: list[str] = []
        self._starts, self._origins, length, place = [0], [0], 0, 0
        for space in _SPACES.finditer(small) if "  " in small else ():
            pieces += (small[place : space.start()], " ")
            length += space.start() - place + 1
            place = space.end()
            self._starts.append(length)
            self._origins.append(place)
        self.text = "".join([*pieces, small[place:]])

    def place(self, index: int) -> int:
        """Where a place of this text is in the text that it was made of."""
        piece = bisect_right(self._starts, index) - 1
        return self._origins[piece] + index - self._starts[piece]

    def hits(self, words: Words) -> list[Hit]:
        """Words in order and apart: the first one counts, of those that begin together the longest.

        A harmless phrase counts before a sharp word whose end it goes on from: no fake is a "fake plant".
        """
        kept: list[Hit] = []
        for start, end, concepts in sorted(words.found(self.text), key=lambda one: (one[0], -one[1])):
            if not kept or start >= kept[-1].end:
                kept.append(Hit(start, end, concepts))
            elif HARMLESS in concepts and end > kept[-1].end:
                kept[-1] = Hit(start, end, concepts)
        return kept

    @cached_property
    def ends(self) -> list[int]:
        """Where sentences end."""
        return [found.end() for found in _END.finditer(self.text)]

    def sentence(self, index: int) -> tuple[int, int]:
        """Where the sentence around a place begins and ends."""
        which = bisect_right(self.ends, index)
        begin = self.ends[which - 1] if which else 0
        return begin, self.ends[which] if which < len(self.ends) else len(self.text)

    def sentences(self, hits: list[Hit]) -> Iterator[list[Hit]]:
        """The words of each sentence that has any."""
        group: list[Hit] = []
        for hit in hits:
            if group and self.sentence(hit.start) != self.sentence(group[-1].start):
                yield group
                group = []
            group.append(hit)
        if group:
            yield group


def _small(text: str) -> str:
    """The text in small letters, with one kind of space and of apostrophe, as long as it was."""
    small = text.lower()
    if len(small) != len(text):
        small = "".join(one if len(one) == 1 else same for same, one in ((same, same.lower()) for same in text))
    for white in WHITE:
        small = small.replace(white, " ")
    if not small.isascii():
        for white in WHITE_BEYOND:
            small = small.replace(white, " ")
        for apostrophe in APOSTROPHES:
            small = small.replace(apostrophe, "'")
    return small
