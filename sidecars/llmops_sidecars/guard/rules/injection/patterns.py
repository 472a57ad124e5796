"""Shapes of attacks, written over what words mean and so the same in every language: one RE2 set.

A text becomes one letter a word: the letter of its concept, `.` for a word without one, `|` between sentences. A shape
is evidence that the classifier weighs, and the name of what was found; alone it decides nothing.
"""

from __future__ import annotations

from functools import cache

from llmops_sidecars.guard.rules.injection.features import Meaning
from llmops_sidecars.guard.rules.injection.lexicon import lexicon
from llmops_sidecars.guard.rules.injection.segments import ENDS
from llmops_sidecars.guard.rules.injection.words import FILLED, MAIL, WEB, Words
from llmops_sidecars.guard.rules.scan import PatternSet

LETTERS = {
    "ignore": "I",
    "previous": "P",
    "instruction": "R",
    "systemprompt": "S",
    "reveal": "V",
    "role": "O",
    "free": "F",
    "now": "N",
    "you": "Y",
    "assistant": "A",
    "covert": "C",
    "send": "D",
    "secret": "K",
    "tool": "T",
    "refuse": "X",
    "authority": "U",
    "fiction": "H",
    "must": "M",
    "harm": "B",
    "encoded": "E",
    "about": "a",
    "reader": "L",
    "respond": "G",
    "object": "o",
    "user": "u",
    "if": "i",
    "not": "n",
    "question": "q",
    "quote": "'",
    "mark": "#",
}
ADDRESS, OTHER, BREAK = "W", ".", "|"
ADDRESSES = frozenset({WEB, MAIL, FILLED})

SHAPES = {
    "override": (
        "I[^|]{0,4}P[^|]{0,3}[RS]",
        "I[^|]{0,3}[RS][^|]{0,3}P",
        "[PS][^|]{0,4}R?[^|]{0,4}I",
        "I[^|o]{0,2}Y?[^|o]{0,2}R",
        "N[^|]{0,3}R[^|]{0,3}[GV]",
    ),
    "extraction": ("V[^|]{0,5}S", "S[^|]{0,5}V", "q[^|]{0,4}S", "V[^|]{0,3}K", "V[^|]{0,4}[RP][^|]{0,3}[RP]"),
    "persona": ("O[^|]{0,8}F", "F[^|]{0,6}[OA]", "N?O[^|]{0,3}A[^|]{0,6}[FIn]", "U[^|]{0,2}N?[^|]{0,4}F"),
    "exfiltration": ("D[^|]{0,9}W", "[KP][^|]{0,6}D[^|]{0,6}W", "C[^|]{0,6}D", "D[^|]{0,8}C", "#?[^|]{0,2}W[^|]{0,4}K"),
    "tool": ("T[^|]{0,6}[CWK]", "[TI][^|]{0,4}n[^|]{0,3}[Vq]"),
    "indirect": ("L[^|]{0,5}A", "A[^|]{0,3}L", "i[^|]{0,2}Y?A", "A[^|]{0,5}M[^|]{0,4}[GDIVT]"),
    "refusal": ("n[^|]{0,4}X", "G[^|]{0,4}nX?", "[IX][^|]{0,4}[FR]", "B[^|]{0,6}[In]"),
    "authority": ("U[^|]{0,6}[IVFS]", "Y[^|]{0,4}U"),
}

Shape = tuple[str, int, int]
"""Name, and the words from which to before which it goes."""


def shapes_of(said: Words, meaning: Meaning) -> list[Shape]:
    """The shapes in a text, in words."""
    letters, places = _spelled(said, meaning)
    return [(name.split(" ")[0], places[start], places[end - 1] + 1) for name, start, end in _shapes().places(letters)]


def _spelled(said: Words, meaning: Meaning) -> tuple[str, list[int]]:
    """The letters, and the word of each."""
    names = lexicon().concepts
    letters = [_letter(word) for word in said.words]
    for concept, (first, last) in zip(meaning.concepts, meaning.spans, strict=True):
        letters[first] = LETTERS.get(names[concept - 1], OTHER)
        letters[first + 1 : last + 1] = [""] * (last - first)
    places = [place for place, letter in enumerate(letters) if letter]
    return "".join(letters), places


def _letter(word: str) -> str:
    if word in ADDRESSES:
        return ADDRESS
    if word in ENDS:
        return BREAK
    return OTHER if word[0].isalnum() else ""


@cache
def _shapes() -> PatternSet:
    return PatternSet({f"{name} {number}": one for name, all_ in SHAPES.items() for number, one in enumerate(all_)})
