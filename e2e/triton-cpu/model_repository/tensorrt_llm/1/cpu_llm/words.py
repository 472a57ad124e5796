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


def readable(text: str) -> str:
    """A text as a tokenizer decodes it: parts of characters, surrogates in it, become whole characters or U+FFFD."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
