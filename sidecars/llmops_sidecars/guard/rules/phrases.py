"""Literal phrases of the policy's author, thousands of them in one pass.

Phrase and text are compared without regard to case, and a space stands for any row of spaces and line breaks.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ahocorasick_rs import AhoCorasick, MatchKind

from llmops_sidecars.contract import PhrasesRule, phrases_of
from llmops_sidecars.guard.rules.finding import Check, Finding, Tail
from llmops_sidecars.guard.rules.normal import Normal, normal
from llmops_sidecars.guard.rules.scan import ends_word, joins, plain, starts_word

RULE = "phrases"

LEAST_CONTEXT = 64
"""Characters before new text that are seen at least; as many as the longest phrase has, when it has more."""

BEGINNING = 3
"""Characters by which most places where no phrase begins are told."""

_STARTS = re.compile(r"\b\w|[^\x00-\x7f]|[^\w\s]")
"""Where a phrase may begin that has to be whole words: at a word, at a letter of a script without spaces, at a sign."""


def make(rule: PhrasesRule) -> Check:
    """The rule for the phrases; raises ValueError that says which list cannot be used, and why."""
    phrases = _phrases(rule)
    automaton = AhoCorasick(phrases, matchkind=MatchKind.Standard)
    label = "[PHRASE]" if rule.name == RULE else f"[PHRASE:{rule.name}]"

    def find(text: str) -> Iterator[Finding]:
        normal = normalised(text)
        for index, start, end in automaton.find_matches_as_indexes(normal.text, overlapping=True):
            if not rule.whole_words or _is_whole(phrases[index], normal.text, start, end):
                first, last = normal.place(start), normal.place(end - 1) + 1
                yield Finding(first, last, RULE, rule.name, label, rule.action)

    context = max(LEAST_CONTEXT, *map(len, phrases))
    return Check(RULE, find, context=context, tail=_tail(phrases, whole_words=rule.whole_words))


def normalised(text: str) -> Normal:
    """The text as it is compared: a sigma is the same at a word's end."""
    form = normal(text)
    return form if form.text.isascii() else replace(form, text=form.text.replace("ς", "σ"))


def _phrases(rule: PhrasesRule) -> list[str]:
    """The phrases as they are compared, each once, those with marks on letters in both ways to write these."""
    given = rule.phrases
    if rule.file is not None:
        try:
            given = phrases_of(Path(rule.file).read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(
                f"phrases {rule.name!r}: the list cannot be read: {error.strerror}: {rule.file}"
            ) from error
        except ValueError as error:
            raise ValueError(f"phrases {rule.name!r}: {error}") from error
    forms = (unicodedata.normalize(form, plain(phrase)) for phrase in given for form in ("NFKC", "NFKD"))
    found = {normalised(form).text.strip(): None for form in forms}
    if not found or "" in found:
        raise ValueError(f"phrases {rule.name!r}: a phrase needs at least one character")
    return list(found)


def _is_whole(phrase: str, text: str, start: int, end: int) -> bool:
    """Whether nothing makes the phrase a part of longer words; at a sign or in a script without spaces nothing can."""
    before = not joins(phrase[0]) or starts_word(text, start)
    return before and (not joins(phrase[-1]) or ends_word(text, end))


def _tail(phrases: list[str], *, whole_words: bool) -> Tail:
    """Where, at the end of a text, a phrase begins that may go on."""
    known = sorted(phrases)
    longest = max(map(len, known))
    beginnings = {phrase[:length] for phrase in known for length in range(1, BEGINNING + 1)}
    begins = _begins(known)

    def tail(text: str) -> int:
        offset = max(len(text) - 2 * longest, 0)
        normal = normalised(text[offset:])
        near = normal.text
        places = (found.start() for found in _STARTS.finditer(near)) if whole_words else range(len(near))
        for place in places:
            if near[place : place + BEGINNING] in beginnings and begins(near[place:]):
                return offset + normal.place(place)
        return len(text)

    return tail


def _begins(known: list[str]) -> Callable[[str], bool]:
    """Whether a text is the beginning of one of the phrases, or all of it, which more may belong to."""

    def begins(text: str) -> bool:
        place = bisect_left(known, text)
        return place < len(known) and known[place].startswith(text)

    return begins
