"""A language model of counted word sequences: the longest part of what was said last that the corpus has too decides.

Contexts ignore case and white space, so that a prompt is recognised inside a chat's layout. The empty context stands
for the start of a document: a prompt that ends in an unknown word is answered with one from its beginning.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from random import Random

from cpu_llm import words
from cpu_llm.sampling import Sampling, choose, likeliest

END = ""
"""The word that ends a document."""

_BLANK_LINES = re.compile(r"\n\s*\n")


@dataclass(frozen=True)
class Piece:
    """A word of an answer, with its natural log-probability, and the likeliest words in its place with theirs.

    The text may be a part of a character: bytes that are no UTF-8 by themselves stand in it as surrogates (PEP 383).
    """

    text: str
    logprob: float
    likely: tuple[tuple[str, float], ...] = ()


def documents(corpus: str) -> list[str]:
    """The documents of a corpus: what stands between blank lines."""
    return [part.strip() for part in _BLANK_LINES.split(corpus) if part.strip()]


class NGramModel:
    """Which words followed which, for contexts of at most `order` - 1 words; `order` is at least 2."""

    def __init__(self, texts: Iterable[str], order: int) -> None:
        self._reach = order - 1
        self._followers: dict[tuple[str, ...], Counter[str]] = {}
        for text in texts:
            self._learn(words.split(text.strip()))

    def followers(self, said: Iterable[str]) -> Mapping[str, int]:
        """The words that may come after `said` (keys of words), counted; END among them where a document ended."""
        last = tuple(said)
        contexts = (last[start:] for start in range(max(0, len(last) - self._reach), len(last) + 1))
        return next(self._followers[context] for context in contexts if context in self._followers)

    def write(self, prompt: str, sampling: Sampling, dice: Random) -> Iterator[Piece]:
        """Continue a prompt word by word until a document ends."""
        said = deque(_keys(words.split(prompt)), maxlen=self._reach)
        used: Counter[str] = Counter()
        while True:
            followers = self.followers(said)
            word, logprob = choose(followers, used, sampling, dice)
            if word == END:
                return
            likely = likeliest(followers, used, sampling) if sampling.told else ()
            used[word] += 1
            said.append(words.key(word))
            yield Piece(word, logprob, likely)

    def _learn(self, text: list[str]) -> None:
        keys = _keys(text)
        for position, word in enumerate([*text, END]):
            shortest = 1 if position else 0
            for length in range(shortest, min(position, self._reach) + 1):
                context = tuple(keys[position - length : position])
                self._followers.setdefault(context, Counter())[word] += 1


def _keys(text: Iterable[str]) -> list[str]:
    return [key for word in text if (key := words.key(word))]
