"""The rule: shapes of all makers and words for secrets in one pass, each match looked at by its check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import re2

from llmops_sidecars.contract import SecretsRule
from llmops_sidecars.guard.rules.finding import Check, Finding
from llmops_sidecars.guard.rules.scan import PatternSet, options, starts_word
from llmops_sidecars.guard.rules.secrets import assigned
from llmops_sidecars.guard.rules.secrets.shapes import BEFORE, MOST_BEFORE, SHAPES

RULE = "secrets"
LABEL = "[SECRET]"

CONTEXT = 96
"""Characters before new text: a word for a secret and what stands between it and its value."""

LEAST_DIFFERENT = 5
"""Characters that differ in a key; a row of the same stands for one that is filled in later."""

NAMED_AFTERWARDS = ("$", "<", "{", "[", "%", "*")
"""What a password in an example begins with that is filled in later."""

Places = Callable[[str, str, int, int], list[tuple[int, int]]]


def make(rule: SecretsRule) -> Check:
    """The rule with its action."""
    patterns = _patterns()

    def find(text: str) -> list[Finding]:
        return [
            Finding(first, last, RULE, name, LABEL, rule.action)
            for name, start, end in patterns.places(text)
            for first, last in CHECKS.get(name, _shaped)(name, text, start, end)
        ]

    return Check(RULE, find, context=CONTEXT)


_BEFORE = {key: re2.compile(pattern, options()) for key, pattern in BEFORE.items()}


@lru_cache(maxsize=1)
def _patterns() -> PatternSet:
    return PatternSet({**SHAPES, "password": assigned.PASSWORD, "high entropy": assigned.KEY})


def _shaped(name: str, text: str, start: int, end: int) -> list[tuple[int, int]]:
    """A key that does not begin within a word, and is not a row of the same character."""
    before = _BEFORE.get((name, text[start]))
    if before is not None:
        found = before.search(text[max(start - MOST_BEFORE, 0) : start])
        if found is None:
            return []
        start -= len(found.group())
    whole = text[start] in "-?&" or starts_word(text, start)
    return [(start, end)] if whole and len(set(text[start:end])) > LEAST_DIFFERENT else []


def _with_digits(name: str, text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Keys have digits, which names in lower case with hyphens have not."""
    return _shaped(name, text, start, end) if any(map(str.isdigit, text[start:end])) else []


def _connection(name: str, text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The password in a URL: all else in it may be needed; a place-holder is none."""
    if not _shaped(name, text, start, end):
        return []
    first, last = text.index(":", start + 3) + 1, end - 1
    return [] if text[first:last].startswith(NAMED_AFTERWARDS) else [(first, last)]


CHECKS: Mapping[str, Places] = {
    "openai": _with_digits,
    "discord": _with_digits,
    "vault": _with_digits,
    "connection": _connection,
    "password": lambda _, text, start, end: assigned.password(text, start, end),
    "high entropy": lambda _, text, start, end: assigned.key(text, start, end),
}
"""How a match is looked at, where its shape alone says too little."""
