"""Text cut into words and put together again without loss."""

from __future__ import annotations

import re

_WORD = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")


def split(text: str) -> list[str]:
    """The words of a text, each with the white space before it, so that joining them gives the text back."""
    return _WORD.findall(text)


def key(word: str) -> str:
    """What two words must share to count as the same word; empty for white space."""
    return word.strip().casefold()
