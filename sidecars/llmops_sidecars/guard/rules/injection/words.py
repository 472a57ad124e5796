"""A text as words: what people wrote behind spacing, digits for letters, and letters of other alphabets."""

from __future__ import annotations

import re
from dataclasses import dataclass

from llmops_sidecars.guard.rules.injection.fold import GONE, LEET, LOOKALIKES, fold
from llmops_sidecars.guard.rules.injection.letters import LINE, TOKEN
from llmops_sidecars.guard.rules.injection.lexicon import known_words

NUMBER = "0"
WEB, MAIL, FILLED = "<web>", "<mail>", "<filled>"
"""Words for addresses; `FILLED` is one whose end waits for something to be put in."""

FILLERS = re.compile(r"[{\[<$]|=$|=\.{2}|%7b", re.IGNORECASE)
MIXED = re.compile(r"[a-z][\u0370-\u052f\u1d00-\u1dbf]|[\u0370-\u052f\u1d00-\u1dbf][a-z]")
LONGEST = 40
"""Letters of the longest word looked at as a whole; more are no word but data."""

FEWEST_SPACED, LEAST_GLUED = 3, 12
"""Single letters in a row that are a word written apart; letters of a word that may be several without spaces."""


@dataclass(frozen=True)
class Words:
    """Words in order, and where each begins and ends in the text, in characters."""

    words: list[str]
    starts: list[int]
    ends: list[int]


def words_of(text: str) -> Words:
    """The words, signs and line breaks of a text."""
    words: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for found in TOKEN.finditer(fold(text)):
        if word := _word(found):
            words.append(word)
            starts.append(found.start())
            ends.append(found.end())
    return _split(_joined(Words(words, starts, ends)))


def _word(found: re.Match[str]) -> str:
    said, kind = found[0], found.lastgroup
    if kind == "word":
        return _letters(said)
    if kind == "line":
        return LINE
    if kind == "address":
        return _address(said)
    return said[:3]


def _letters(said: str) -> str:
    """A word without what hides it."""
    if GONE in said:
        said = said.replace(GONE, "")
    if said.isalpha():
        return said.translate(LOOKALIKES) if not said.isascii() and MIXED.search(said) else said[:LONGEST]
    if said.isdigit():
        return NUMBER
    if sum(map(str.isalpha, said)) > 1:
        return said[:LONGEST].translate(LEET)
    return said[:LONGEST]


def _address(said: str) -> str:
    if not said.startswith(("http", "www.")):
        return MAIL
    return FILLED if FILLERS.search(said) else WEB


def _joined(said: Words) -> Words:
    """Letters that were written apart, as the words that they are."""
    words = said.words
    if len(words) < FEWEST_SPACED or not any(len(word) == 1 and word.isalpha() and word.isascii() for word in words):
        return said
    joined = Words([], [], [])
    index = 0
    while index < len(words):
        end = _spelled(said, index)
        joined.words.append("".join(words[index : end : _step(words, index)]) if end > index + 1 else words[index])
        joined.starts.append(said.starts[index])
        joined.ends.append(said.ends[end - 1])
        index = end
    return joined


def _is_letter(word: str) -> bool:
    return len(word) == 1 and word.isascii() and word.isalpha()


def _step(words: list[str], index: int) -> int:
    """1 for letters side by side, 2 when a sign stands between each two."""
    return 1 if index + 1 >= len(words) or _is_letter(words[index + 1]) else 2


def _spelled(said: Words, index: int) -> int:
    """Where a word ends that begins here letter by letter; the next place when none does."""
    words = said.words
    if not _is_letter(words[index]):
        return index + 1
    step, sign = _step(words, index), words[index + 1 : index + 2]
    gap = _gap(said, index, step)
    end = index
    while (
        end + step < len(words)
        and _is_letter(words[end + step])
        and (step == 1 or words[end + 1 : end + 2] == sign)
        and _gap(said, end, step) == gap
    ):
        end += step
    return end + 1 if (end - index) // step + 1 >= FEWEST_SPACED else index + 1


def _gap(said: Words, index: int, step: int) -> int:
    """Characters between this letter and the next one."""
    return said.starts[index + step] - said.ends[index] if index + step < len(said.words) else 0


def _split(said: Words) -> Words:
    """Words that were written together, when they are nothing but known words."""
    if not any(len(word) >= LEAST_GLUED for word in said.words):
        return said
    split = Words([], [], [])
    for word, start, end in zip(said.words, said.starts, said.ends, strict=True):
        pieces = _pieces(word) if len(word) >= LEAST_GLUED and word.isascii() else [word]
        split.words.extend(pieces)
        split.starts.extend([start] * len(pieces))
        split.ends.extend([end] * len(pieces))
    return split


def _pieces(word: str) -> list[str]:
    """The fewest known words that make up the word; itself when there are none such, or when it is known."""
    known = known_words()
    if word in known:
        return [word]
    best: list[list[str] | None] = [[]]
    for end in range(1, len(word) + 1):
        ways = [
            [*before, word[start:end]]
            for start in range(max(0, end - 16), end)
            if (before := best[start]) is not None and word[start:end] in known
        ]
        best.append(min(ways, key=len) if ways else None)
    return best[-1] or [word]
