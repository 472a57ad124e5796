"""A text as words are looked for in it: in small letters, with one space for any row of spaces and line breaks."""

from __future__ import annotations

import re
import string
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from llmops_sidecars.guard.rules.scan import beyond_ascii, once, replaced

WHITE = "\t\n\v\f\r\x1c\x1d\x1e\x1f"
SPACE = ord(" ")
SIGMA = "\N{GREEK CAPITAL LETTER SIGMA}"
"""The one letter whose small form depends on what stands beside it."""

_SPACES = re.compile(r"\s\s+")
_SMALL = bytes.maketrans(
    (string.ascii_uppercase + WHITE).encode(), (string.ascii_lowercase + " " * len(WHITE)).encode()
)


@dataclass(frozen=True)
class Normal:
    """A text as it is compared, and as it is; it prints without both."""

    text: str = field(repr=False)
    of: str = field(repr=False)

    def place(self, index: int) -> int:
        """Where a character stands in the text itself."""
        if len(self.text) == len(self.of):
            return index
        runs, left_out = self._rows
        run = bisect_right(runs, index)
        return index + (left_out[run - 1] if run else 0)

    @cached_property
    def _rows(self) -> tuple[list[int], list[int]]:
        """Where rows of spaces end in `text`, and how many characters are left out up to there."""
        runs: list[int] = []
        left_out: list[int] = []
        surplus = 0
        for found in _SPACES.finditer(self.of):
            start, end = found.span()
            runs.append(start + 1 - surplus)
            surplus += end - start - 1
            left_out.append(surplus)
        return runs, left_out


def normal(text: str) -> Normal:
    """The form of a text, made once."""
    return once(text, _normal)


def _normal(text: str) -> Normal:
    small = _small(text)
    return Normal(_collapsed(small) if "  " in small else small, text)


def _small(text: str) -> str:
    """In small letters, with spaces for what is white: as long as the text."""
    if SIGMA in text:
        small = text.lower()
        small = small if len(small) == len(text) else "".join(map(_small_letter, text))
        return replaced(small, {one: " " for one in set(small) if one.isspace()})
    small = once(text, str.encode).translate(_SMALL).decode()
    return small if small.isascii() else replaced(small, _replacements(once(text, beyond_ascii)))


def _replacements(beyond: set[str]) -> dict[str, str]:
    return {one: small for one in beyond if (small := " " if one.isspace() else _small_letter(one)) != one}


def _small_letter(one: str) -> str:
    """The small letter; the letter itself where it has several."""
    small = one.lower()
    return small if len(small) == 1 else one


def _collapsed(text: str) -> str:
    """Each row of spaces as one."""
    codes = np.frombuffer(text.encode(), np.uint8)
    spaces = codes == SPACE
    surplus = spaces[1:] & spaces[:-1]
    return codes[np.concatenate(([True], ~surplus))].tobytes().decode()
