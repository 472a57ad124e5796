"""A text as words are looked for in it: in small letters, with one space for any row of spaces and line breaks."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from llmops_sidecars.guard.rules.scan import beyond_ascii, once, replaced

WHITE = "\t\n\v\f\r\x1c\x1d\x1e\x1f"
WHITE_BEYOND = {one: " " for one in map(chr, range(0x80, 0x3001)) if one.isspace()}

_SPACES = re.compile("  +")


@dataclass(frozen=True)
class Normal:
    """A text as it is compared; it prints without it. `runs`: where rows of spaces ended, and how many are left out."""

    text: str = field(repr=False)
    runs: tuple[int, ...] = ()
    left_out: tuple[int, ...] = ()

    def place(self, index: int) -> int:
        """Where a character stands in the text itself."""
        run = bisect_right(self.runs, index)
        return index + (self.left_out[run - 1] if run else 0)


def normal(text: str) -> Normal:
    """The form of a text, made once."""
    return once(text, _normal)


def _normal(text: str) -> Normal:
    small = text.lower()
    if len(small) != len(text):
        small = "".join(one if len(one) == 1 else same for same, one in ((same, same.lower()) for same in text))
    for white in WHITE:
        small = small.replace(white, " ")
    if not small.isascii():
        small = replaced(small, dict.fromkeys(beyond_ascii(small) & WHITE_BEYOND.keys(), " "))
    return _collapsed(small) if "  " in small else Normal(small)


def _collapsed(text: str) -> Normal:
    """Each row of spaces as one."""
    pieces: list[str] = []
    runs: list[int] = []
    left_out: list[int] = []
    place = surplus = 0
    for found in _SPACES.finditer(text):
        start, end = found.span()
        pieces.append(text[place : start + 1])
        runs.append(start + 1 - surplus)
        surplus += end - start - 1
        left_out.append(surplus)
        place = end
    return Normal("".join([*pieces, text[place:]]), tuple(runs), tuple(left_out))
