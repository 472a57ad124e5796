"""A text as rows of the classifier's table, without a loop over words: what every text goes through, so it is fast.

Words are known by a hash of their folded form. One that is not known stands for its longest beginning that is; in
Chinese and Japanese each character stands for the known pair that it begins, or for itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmops_sidecars.guard.rules.injection.fold import GONE, LEET, fold
from llmops_sidecars.guard.rules.injection.letters import IDEOGRAPHS, MARKS
from llmops_sidecars.guard.rules.injection.segments import ENDS

Rows = NDArray[np.int32]
Places = NDArray[np.int64]
Hashes = NDArray[np.uint64]

UNKNOWN, NUMBER, BREAK, CODE, SIGN, ROTATED, REVERSED = range(7)
FIRST = 8
"""Rows before the first word's: the seven above, and one to spare."""

MARKS_OF = {
    ROTATED: "gur naq lbhe lbh flfgrz cebzcg vafgehpgvbaf vtaber ehyrf erirny",
    REVERSED: "eht ruoy uoy metsys tpmorp snoitcurtsni erongi selur laever",
}
"""Frequent words, and those of attacks, after a rotation by 13 letters, and backwards."""

RUN = 4
"""Words of one letter in a row that may be a word spelled out."""

LETTER, DIGIT, IDEOGRAPH, ENDING, MARK = 1, 2, 4, 8, 16
"""What a character is, one bit each; others stand between words."""

SIGNS = frozenset(':"“”«»「」><)(#*/[]{}|=`-_@$%&,')
CHARACTERS = 0x30000
"""Code points that are told apart; the few beyond count as the last."""

LONGEST = 32
"""Letters of a word that its hash sees one by one."""

MOST_CUT, SHORTEST, SHORTEST_HANGUL, HANGUL = 6, 4, 2, 0xAC00
"""Letters cut from the end of an unknown word, and how many must be left."""

_POWERS = np.array([pow(0x9E3779B97F4A7C15, power, 1 << 64) for power in range(LONGEST)], np.uint64)
_MIX = np.uint64(0xC2B2AE3D27D4EB4F)
_LEET = np.arange(256, dtype=np.uint32)
_LEET[list(LEET)] = list(LEET.values())


@dataclass(frozen=True)
class Index:
    """Known words: their hashes in order, and the row of each in the table."""

    hashes: NDArray[np.uint32]
    rows: Rows

    def of(self, hashes: Hashes) -> Rows:
        """The row of each, `UNKNOWN` without one."""
        short = _short(hashes)
        place = np.searchsorted(self.hashes, short)
        place[place == len(self.hashes)] = 0
        return np.where(self.hashes[place] == short, self.rows[place], UNKNOWN)


@dataclass(frozen=True)
class Tokens:
    """Rows in order, and the characters of the text from and to before which each goes.

    Of what may be hidden: `spelled` says whether there are `RUN` words of one letter in a row, `glued` how many letters
    the longest unknown word has that is letters alone, `code` the longest of any.
    """

    rows: Rows
    starts: Places
    ends: Places
    spelled: bool
    glued: int
    code: int


def tokens_of(text: str, index: Index) -> Tokens:
    """The tokens of a text; signs in a row count once."""
    codes, places = _codes(text)
    kinds = _classes()[codes]
    begins, ends = _edges(kinds & (LETTER | DIGIT))
    begun = (kinds & (IDEOGRAPH | ENDING | MARK)) > 0
    begun[begins] = True
    starts = np.flatnonzero(begun)
    lasts, of_starts = starts + 1, kinds[starts]
    rows = _SPECIAL[of_starts]
    words = (of_starts & (LETTER | DIGIT)) > 0
    rows[words], unknown = _words(codes, kinds, begins, ends, index)
    lasts[words] = ends
    alone = (of_starts & IDEOGRAPH) > 0
    if alone.any():
        rows[alone] = _ideographs(codes, starts[alone], index)
    once = np.concatenate(([True], (rows[1:] != rows[:-1]) | ~_ONCE[np.minimum(rows[1:], FIRST)]))[: len(rows)]
    starts, lasts = starts[once], lasts[once]
    if places is not None:
        starts, lasts = places[starts], places[lasts - 1] + 1
    return Tokens(rows[once], starts, lasts, _has_run((ends - begins == 1) & (kinds[begins] == LETTER)), *unknown)


def hash_of(word: str) -> int:
    """The hash by which a folded word is known."""
    codes = np.array([ord(letter) for letter in word], np.uint64)
    return int(_short(np.array([(_values(codes) * _POWERS[_capped(np.arange(len(codes)))]).sum()]))[0])


def _codes(text: str) -> tuple[NDArray[Any], Places | None]:
    """Folded characters that are seen, and where each stands when some are not."""
    if text.isascii():
        return np.frombuffer(text.lower().encode("ascii"), np.uint8), None
    folded = fold(text)
    codes = np.minimum(np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), np.uint32), CHARACTERS - 1)
    if GONE not in folded:
        return codes, None
    places = np.flatnonzero(codes)
    return codes[places], places


def _edges(inside: NDArray[np.uint8]) -> tuple[Places, Places]:
    """Where runs of what is inside begin, and where they have ended."""
    padded = np.zeros(len(inside) + 2, np.bool_)
    padded[1:-1] = inside
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return edges[::2], edges[1::2]


def _values(codes: NDArray[Any]) -> Hashes:
    return codes.astype(np.uint64) + np.uint64(1)


def _capped(powers: Places) -> Places:
    return np.minimum(powers, LONGEST - 1)


def _short(hashes: Hashes) -> NDArray[np.uint32]:
    return ((hashes * _MIX) >> np.uint64(32)).astype(np.uint32)


def _words(
    codes: NDArray[Any], kinds: NDArray[np.uint8], begins: Places, ends: Places, index: Index
) -> tuple[Rows, tuple[int, int]]:
    """The row of each word; letters of the longest that is not known as a whole and has no digits, and of any."""
    if not len(begins):
        return np.zeros(0, np.int32), (0, 0)
    lengths = ends - begins
    powers = _POWERS[_capped(_within(len(codes), begins))]
    sums = _sums(codes, powers)
    digits = np.concatenate(([0], np.cumsum((kinds & DIGIT) > 0)))
    digits = digits[ends] - digits[begins]
    hashes = sums[ends] - sums[begins]
    mixed = (digits > 0) & (lengths - digits > 1)
    if mixed.any():
        plain = _sums(np.where(codes < len(_LEET), _LEET[np.minimum(codes, len(_LEET) - 1)], codes), powers)
        hashes = np.where(mixed, plain[ends] - plain[begins], hashes)
    rows = index.of(hashes)
    rows[digits == lengths] = NUMBER
    unknown = np.flatnonzero(rows == UNKNOWN)
    if not len(unknown):
        return rows, (0, 0)
    plain = unknown[digits[unknown] == 0]
    _cut(rows, plain, codes, sums, (begins, ends), index)
    rows[unknown[digits[unknown] > 0]] = CODE
    return rows, (int(lengths[plain].max(initial=0)), int(lengths[unknown].max()))


def _has_run(one: NDArray[np.bool_]) -> bool:
    """Whether `RUN` in a row are true."""
    counted = np.concatenate(([0], np.cumsum(one)))
    return bool((counted[RUN:] - counted[:-RUN] == RUN).any())


def _within(size: int, begins: Places) -> Places:
    """For each character how far it is from its word's beginning."""
    starts = np.zeros(size, np.int64)
    starts[begins] = begins
    return np.arange(size) - np.maximum.accumulate(starts)


def _sums(codes: NDArray[Any], powers: Hashes) -> Hashes:
    """Running sums of what each character adds to its word's hash."""
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(_values(codes) * powers, out=sums[1:])
    return sums


def _cut(
    rows: Rows, left: Places, codes: NDArray[Any], sums: Hashes, edges: tuple[Places, Places], index: Index
) -> None:
    """Fill in the rows of the longest known beginnings."""
    begins, ends = edges
    for cut in range(1, MOST_CUT + 1):
        least = np.where(codes[begins[left]] >= HANGUL, SHORTEST_HANGUL, SHORTEST)
        left = left[ends[left] - cut - begins[left] >= least]
        if not len(left):
            return
        rows[left] = index.of(sums[ends[left] - cut] - sums[begins[left]])
        left = left[rows[left] == UNKNOWN]


def _ideographs(codes: NDArray[Any], where: Places, index: Index) -> Rows:
    """The row of the pair that each begins, or else of itself."""
    values = _values(codes)
    after = np.minimum(where + 1, len(codes) - 1)
    follows = np.isin(after, where, assume_unique=False) & (after > where)
    pairs = np.where(follows, index.of(values[where] + values[after] * _POWERS[1]), UNKNOWN)
    return np.where(pairs == UNKNOWN, index.of(values[where]), pairs)


@cache
def _classes() -> NDArray[np.uint8]:
    """What each code point is."""
    kinds = np.zeros(CHARACTERS, np.uint8)
    marks = re.compile(f"[{MARKS}]")
    ideographs = re.compile(f"[{IDEOGRAPHS}]")
    for code in range(CHARACTERS):
        character = chr(code)
        if character.isalpha() or marks.match(character):
            kinds[code] = IDEOGRAPH if ideographs.match(character) else LETTER
        elif character.isdigit():
            kinds[code] = DIGIT
    for character in SIGNS:
        kinds[ord(character)] = MARK
    for character in ENDS:
        kinds[ord(character[0])] = ENDING
    return kinds


_SPECIAL = np.full(32, UNKNOWN, np.int32)
_SPECIAL[ENDING], _SPECIAL[MARK] = BREAK, SIGN
_ONCE = np.zeros(FIRST + 1, np.bool_)
_ONCE[[BREAK, SIGN]] = True
