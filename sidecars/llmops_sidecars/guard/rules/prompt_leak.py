"""The answer repeats its instructions: as many letters in a row as the policy says, whatever stands between them.

Instructions and answer are reduced to their letters, so that case, spaces, punctuation, numbers of lines, line breaks
and look-alikes do not matter. The instructions are cut into blocks of half the length, one after the other: whatever
repeats enough of them holds one block whole. All blocks are searched in one pass; what is found is followed in both
directions. What stands in quotation marks or between fences is meant to be said, and is none of the instructions.

Translations and other words for the same are not found.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import re2
from ahocorasick_rs import AhoCorasick, Implementation

from llmops_sidecars.contract import Action, PromptLeakRule
from llmops_sidecars.guard.rules.finding import OUTPUT, Check, Context, Find, Finding, Tail
from llmops_sidecars.guard.rules.forms import LOOK_ALIKES
from llmops_sidecars.guard.rules.scan import options

RULE = "promptLeak"
KIND, LABEL = "Instructions", "[INSTRUCTIONS]"
ACTIONS = frozenset({Action.REPORT, Action.MASK, Action.BLOCK})

LEAST_LETTERS = 16
"""Fewer say nothing: five words are anybody's."""

STRETCHED = 4
"""Characters in which one letter is written, at most: with signs around it, in an encoding."""

APART = "\n"
"""Between two texts of the instructions: no letter."""

SAYABLE = re2.compile(
    r"\"[^\"\n]{1,300}\"|“[^”\n]{1,300}”|„[^“”\n]{1,300}[“”]|«[^»\n]{1,300}»|「[^」\n]{1,300}」|(?s:```.{1,1000}?```)",
    options(),
)
"""What instructions give to be said: an answer, a form of it, an example."""

DENSE = ((0x1100, 0x1200, 2), (0x3040, 0x3100, 2), (0x3400, 0xA000, 3), (0xAC00, 0xD7B0, 2), (0x20000, 0x33480, 3))
"""Scripts in which one character says as much as several letters, and counts as so many."""

FOLLOWED = 8
"""Places of the instructions from which one block is followed, when they repeat themselves."""


class _Letters(dict[int, str | None]):
    """From a character to its letters, filled as characters are met; None for what is no letter."""

    def __missing__(self, code: int) -> str | None:
        self[code] = result = _letters_of(chr(code)) or None
        return result


def _letters_of(character: str) -> str:
    """A character's letters, as they are compared."""
    simple = unicodedata.normalize("NFKC", character).translate(LOOK_ALIKES).lower()
    letters = "".join(filter(str.isalpha, unicodedata.normalize("NFD", simple) if simple.isalpha() else simple))
    weight = next((weight for first, end, weight in DENSE if first <= ord(character) < end), 1)
    return unicodedata.normalize("NFC", letters) * weight


LETTERS = _Letters()


def make(rule: PromptLeakRule) -> Check:
    """The rule, to be bound to each request; raises ValueError for an action that it has not, or too few letters."""
    if rule.action not in ACTIONS:
        raise ValueError(f"promptLeak: the action is Block, Mask or Report, not {rule.action}")
    if rule.letters < LEAST_LETTERS:
        raise ValueError(f"promptLeak: {rule.letters} letters say nothing; give {LEAST_LETTERS} or more")

    def bind(context: Context) -> Find:
        known = _known(context, rule.letters)

        def find(text: str) -> list[Finding]:
            return [Finding(start, end, RULE, KIND, LABEL, rule.action) for start, end in known.repeated(text)]

        return find

    def bind_tail(context: Context) -> Tail:
        return _known(context, rule.letters).begun

    most = STRETCHED * rule.letters
    return Check(RULE, bind=bind, bind_tail=bind_tail, only=OUTPUT, longest=most, context=most)


def _known(context: Context, least: int) -> Instructions:
    return _instructions((*context.instructions, *sorted(context.trusted)), least)


@lru_cache(maxsize=32)
def _instructions(texts: tuple[str, ...], least: int) -> Instructions:
    """Most requests of a service have the same instructions."""
    return Instructions(texts, least)


class Instructions:
    """What must not be repeated; it prints without it."""

    def __init__(self, texts: Iterable[str], least: int) -> None:
        """Reduce them, and cut them into blocks."""
        pieces = (reduced(piece) for text in texts for piece in SAYABLE.split(text))
        told = [piece for piece in dict.fromkeys(pieces) if len(piece) >= least]
        self._least, self._size = least, least // 2
        self._letters = APART.join(told)
        blocks = {
            piece[at : at + self._size] for piece in told for at in range(0, len(piece) - self._size + 1, self._size)
        }
        self._search = (
            AhoCorasick(blocks, store_patterns=False, implementation=Implementation.ContiguousNFA) if blocks else None
        )

    def repeated(self, text: str) -> list[tuple[int, int]]:
        """Where a text repeats enough of them."""
        letters = reduced(text) if self._search else ""
        if self._search is None or len(letters) < self._least:
            return []
        runs, end = [], 0
        for _, first, last in self._search.find_matches_as_indexes(letters):
            if first >= end:
                start, end = self._followed(letters, first, last)
                runs.append((start, end))
        places = _places(text) if runs else []
        return [(places[start], places[end - 1] + 1) for start, end in runs if end - start >= self._least]

    def begun(self, text: str) -> int:
        """Where the end of a text begins that could go on as they do."""
        letters = reduced(text) if self._search else ""
        least, most = 0, len(letters)
        while least < most:
            middle = (least + most + 1) // 2
            if letters[-middle:] in self._letters:
                least = middle
            else:
                most = middle - 1
        return _places(text)[-least] if least else len(text)

    def _followed(self, letters: str, first: int, last: int) -> tuple[int, int]:
        """The longest run around a block that stands in the instructions."""
        best, place = (first, last), -1
        for _ in range(FOLLOWED):
            place = self._letters.find(letters[first:last], place + 1)
            if place < 0:
                break
            start, end = first, last
            while (
                start > 0 and place > first - start and letters[start - 1] == self._letters[place - (first - start) - 1]
            ):
                start -= 1
            ahead = self._letters[place + last - first : place + last - first + len(letters) - last]
            while end < len(letters) and end - last < len(ahead) and letters[end] == ahead[end - last]:
                end += 1
            best = max(best, (start, end), key=lambda run: run[1] - run[0])
        return best


def reduced(text: str) -> str:
    """The letters of a text."""
    return text.translate(LETTERS)


def _places(text: str) -> list[int]:
    """Where each letter of a text stands in it."""
    return [place for place, character in enumerate(text) for _ in LETTERS[ord(character)] or ""]
