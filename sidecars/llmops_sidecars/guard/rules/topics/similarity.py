"""How near a text is to phrases of an author: words and pieces of words in common, rare ones first. No model.

Each word is a vector of length one: half of it the word, half its pieces of four letters, so that forms of one word are
near each other. Common words of the phrases' languages count as nothing; of the author's words, those that stand in
several topics count less. A phrase and a group of sentences are compared by the cosine of the sums of their words.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from llmops_sidecars.guard.rules.language.detect import languages
from llmops_sidecars.guard.rules.language.table import SCRIPTS, table, words_of
from llmops_sidecars.guard.rules.scan import plain

PIECE = 4
"""Letters of a piece of a word."""

DENSE = frozenset({"CJK", "HANGUL", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"})
"""Scripts that put no spaces between words: every two characters count as one."""

SHORTEST, LONGEST = 3, 30
"""Words of a group of sentences: fewer go with the next sentence, more are cut."""

LONGEST_WORD = 32
SURE, NOT_SURE = 0.8, frozenset[str]()

_SENTENCE = re.compile("(?<=[.!?\u3002\uff01\uff1f\u061f\u0964])\\s*|\n+")


class Phrases:
    """The phrases of topics, by the topics' names."""

    def __init__(self, topics: Mapping[str, Sequence[str]]) -> None:
        """Weigh their words."""
        self._common = _common_words(phrase for phrases in topics.values() for phrase in phrases)
        spoken = {name: {word for one in phrases for word in self._said(one)} for name, phrases in topics.items()}
        topics_with = Counter(word for words in spoken.values() for word in words)
        self._names: list[str] = []
        self._index: dict[str, list[tuple[int, float]]] = {}
        for name, phrases in topics.items():
            for words in filter(None, map(self._said, phrases)):
                self._add(name, Counter(words), topics_with)

    def nearness(self, text: str) -> dict[str, float]:
        """How near the nearest group of a text's sentences is to each topic's nearest phrase: from 0 to 1."""
        nearest: dict[str, float] = {}
        known: dict[str, list[tuple[int, float]]] = {}
        for group in self._groups(text):
            sums = [0.0] * len(self._names)
            for word in set(group):
                if word not in known:
                    known[word] = self._shares(word)
                for phrase, share in known[word]:
                    sums[phrase] += share
            length = math.sqrt(len(set(group)))
            for phrase, total in enumerate(sums):
                name = self._names[phrase]
                nearest[name] = max(nearest.get(name, 0.0), min(total / length, 1.0))
        return nearest

    def says_enough(self, text: str) -> bool:
        """Whether a text has as many words that say something as can be compared."""
        return any(len(set(group)) >= SHORTEST for group in self._groups(text))

    def _add(self, name: str, words: Counter[str], topics_with: Mapping[str, int]) -> None:
        weights = {word: 1 / topics_with[word] for word in words}
        length = math.sqrt(sum(weight * weight for weight in weights.values()))
        features: defaultdict[str, float] = defaultdict(float)
        for word, weight in weights.items():
            for feature, share in _features(word).items():
                features[feature] += share * weight / length
        for feature, share in features.items():
            self._index.setdefault(feature, []).append((len(self._names), share))
        self._names.append(name)

    def _shares(self, word: str) -> list[tuple[int, float]]:
        """What a word has in common with each phrase."""
        shares: defaultdict[int, float] = defaultdict(float)
        for feature, own in _features(word).items():
            for phrase, share in self._index.get(feature, ()):
                shares[phrase] += own * share
        return list(shares.items())

    def _groups(self, text: str) -> list[list[str]]:
        """The words of a text that say something, by groups of sentences."""
        found: list[list[str]] = []
        group: list[str] = []
        for sentence in _SENTENCE.split(plain(text)):
            group += self._said(sentence)
            if len(group) >= SHORTEST:
                found += (group[start : start + LONGEST] for start in range(0, len(group), LONGEST))
                group = []
        return [*found, group] if group else found

    def _said(self, sentence: str) -> list[str]:
        words = (word.lower()[:LONGEST_WORD] for run in words_of(sentence) for word in _cut(run))
        return [word for word in words if (len(word) > 1 or not word.isascii()) and word not in self._common]


def _common_words(phrases: Iterable[str]) -> frozenset[str]:
    """Of the languages that the phrases are in, or of English, which is in between everywhere."""
    spoken = set(languages("\n".join(phrases), NOT_SURE, SURE)) | {"en"}
    return frozenset(word for word, codes in table().words.items() if codes.keys() & spoken)


def _cut(run: str) -> list[str]:
    """A word; the pairs of characters of a run in a script that writes words together."""
    if run.isascii() or SCRIPTS[run[0]] not in DENSE:
        return [run]
    return [run[place : place + 2] for place in range(max(len(run) - 1, 1))]


def _features(word: str) -> dict[str, float]:
    """A word's vector: itself, and the pieces of it with its edges."""
    edged = f" {word} "
    pieces = [edged[place : place + PIECE] for place in range(max(len(edged) - PIECE + 1, 1))]
    share = math.sqrt(0.5 / len(pieces))
    vector: defaultdict[str, float] = defaultdict(float)
    for piece in pieces:
        vector[piece] += share
    return {f"={word}": math.sqrt(0.5), **vector}
