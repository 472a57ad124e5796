"""Words that tell what the number behind them is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import re2

from llmops_sidecars.guard.rules.scan import options

REACH = 40
"""Characters before a number in which a word is looked for."""


def listed(words: str) -> tuple[str, ...]:
    """Words that spaces divide, as a table has them."""
    return tuple(words.split())


def words_of(words: Iterable[str]) -> Any:
    """A compiled pattern of words, whole where their letters are ASCII: RE2 knows boundaries of no others."""
    return re2.compile(f"(?i){'|'.join(_whole(word) for word in words)}", options())


def is_beside(text: str, start: int, words: Any, reach: int = REACH) -> bool:
    """Whether one of the words stands shortly before a place."""
    return words.search(text[max(start - reach, 0) : start].encode()) is not None


def _whole(word: str) -> str:
    before, after = (r"\b" if edge.isascii() and edge.isalnum() else "" for edge in (word[0], word[-1]))
    return f"{before}{re2.escape(word)}{after}"
