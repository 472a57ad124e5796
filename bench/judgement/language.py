"""How surely texts in languages that are not allowed are found, and those in the allowed one are not.

A text of each language is judged by a policy that allows English alone (German, for English), which should find it, and
by one that allows its own language, which should not.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from bench.judgement.cases import TEXTS, Case, judged
from llmops_sidecars.contract import Action, LanguageRule, Policy
from llmops_sidecars.guard.policy import Rules, compile_policy
from llmops_sidecars.guard.rules.finding import Size
from llmops_sidecars.guard.verdict import measure as measured
from tools.injection.builtin import BUILTIN
from tools.injection.grammar import Template, read

SEED, EACH = 512, 16
SIZES = (42, 90, 220, 620)
"""Letters that texts have at least."""

LETTERS = (40, 80, 200, 600)
"""Ends of the buckets, in letters; below the first nothing is said by default."""

CODE = "```\nfor item in items:\n    total += item.price\nreturn total\n```"
FORMS: dict[str, Callable[[list[str]], str]] = {
    "alone": " ".join,
    "numbered": lambda said: "\n".join(f"{number}.{one}" for number, one in enumerate(said, start=1)),
    "with code and a link": lambda said: f"{' '.join(said)}\n\n{CODE}\nhttps://docs.example.com/en/index.html",
}


def measure() -> dict[str, Any]:
    """By language, by letters, by form."""
    return judged(cases(), lambda case: bool(_found(case.text, case.unit)))


def cases() -> list[Case]:
    """Each text twice: once under a policy that should find it, once under one that should not (`unit` says which)."""
    return [
        Case(text, allowed != language, _groups(text, language, form), f"{allowed} {number}")
        for number, (language, text, form) in enumerate(_texts())
        for allowed in ("de" if language == "en" else "en", language)
    ]


def _texts() -> Iterator[tuple[str, str, str]]:
    """Language, text, form."""
    chance = random.Random(SEED)
    sentences: defaultdict[str, list[Template]] = defaultdict(list)
    for one in read(TEXTS / "language", BUILTIN):
        sentences[one.kind].append(one)
    for language, templates in sentences.items():
        for number in range(EACH):
            for form, framed in FORMS.items():
                yield language, framed(_said(templates, SIZES[number % len(SIZES)], chance)), form


def _said(templates: list[Template], length: int, chance: random.Random) -> list[str]:
    """Sentences of a language, together at least so many letters long."""
    said: list[str] = []
    while _letters(" ".join(said)) < length:
        said.append(chance.choice(templates).make(chance))
    return said


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _groups(text: str, language: str, form: str) -> dict[str, str]:
    letters = _letters(text.partition("```")[0])
    named = {f"{low} to {high}": low <= letters < high for low, high in pairwise(LETTERS)}
    few = f"under {LETTERS[0]}" if letters < LETTERS[0] else f"{LETTERS[-1]} and more"
    bucket = next((name for name, is_it in named.items() if is_it), few)
    return {"language": language, "letters": bucket, "form": form}


@cache
def _rules(allowed: str) -> Rules:
    return compile_policy(Policy(input=(LanguageRule((allowed,), action=Action.REPORT),))).input


def _found(text: str, unit: str) -> set[str]:
    size = Size(1, (text,), (text,))
    return {one.kind for one in measured(size, _rules(unit.partition(" ")[0])).reported}
