"""What the classifier sees in words: hashed words and pairs, pieces of words, and concepts in their order.

Everything is unsigned 64-bit arithmetic that wraps, the same on every platform, and CRC-32 of a word's UTF-8 form.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from llmops_sidecars.guard.rules.injection.letters import LINE
from llmops_sidecars.guard.rules.injection.lexicon import Lexicon, lexicon
from llmops_sidecars.guard.rules.injection.segments import ENDS
from llmops_sidecars.guard.rules.injection.words import Words

BITS = 19
"""The hashed space has 2 to the power of this many places."""

Places = NDArray[np.int32]
Numbers = NDArray[np.uint64]

_MIX = np.uint64(0x9E3779B97F4A7C15)
_PAIR = np.uint64(0xC2B2AE3D27D4EB4F)
_SHIFT = np.uint64(64 - BITS)

_SALTS = tuple((kind + 1) * int(_PAIR) % 2**64 for kind in range(16))

_MEANING = np.uint64(0x5BE0CD19137E2179)
_BEGINNING = np.uint64(0x1F83D9ABFB41BD6B)

BREAKS = ENDS | frozenset({":", "-", '"', "“", "”", "«", "»", "「", "」", ">", ")", "#", "##", "###", "*", "/*", "//"})
"""Signs after which something new begins."""

PIECES = (3, 4, 5)
"""Letters of the pieces of words."""

FARTHEST = 6
"""Words between two concepts that are read together."""

WORDS_KIND, PAIRS, TRIPLES, SKIPS, PIECES_KIND, CONCEPTS, CHAINS, SIGNS, MIXED_PAIRS, MIXED_TRIPLES, MIXED_SKIPS = (
    range(11)
)
"""Kinds of features, by what they are made of."""

BLOCKS = (
    (WORDS_KIND, PAIRS, TRIPLES, SKIPS, SIGNS),
    (PIECES_KIND,),
    (CONCEPTS, CHAINS),
    (MIXED_PAIRS, MIXED_TRIPLES, MIXED_SKIPS),
)
"""Kinds that are weighed together: words, pieces of words, concepts."""


class Kind(NamedTuple):
    """Features of one kind: place in the hashed space, first and last word that each is made of.

    In the order of the first words; only chains of concepts are not in the order of the last words too.
    """

    places: Places
    firsts: Places
    lasts: Places

    def between(self, start: int, end: int) -> tuple[int, int]:
        """Which features lie wholly in words `start` to before `end`, when the last words are in order."""
        return int(np.searchsorted(self.firsts, start)), int(np.searchsorted(self.lasts, end))


class Meaning(NamedTuple):
    """Concepts in order, by their numbers, and the first and the last word of each."""

    concepts: list[int]
    spans: list[tuple[int, int]]


Features = tuple[Kind, ...]
"""By number of the kind."""


def features_of(said: Words, meaning: Meaning) -> Features:
    """All features of a text, with where they are."""
    words = said.words
    hashes = np.fromiter((crc32(word.encode("utf-8", "surrogatepass")) for word in words), np.uint64, len(words))
    spoken = np.fromiter((i for i, word in enumerate(words) if word[0].isalnum() or word[0] == "<"), np.int32)
    order, begun = _with_beginnings(words)
    concepts, spans = meaning
    return (
        *_sequences(np.where(begun, _BEGINNING, hashes[order]), order),
        _pieces(words, spoken),
        *_chains(concepts, spans),
        _signs(hashes, words),
        *_mixed(hashes, order, begun, concepts, spans),
    )


def _with_beginnings(words: list[str]) -> tuple[Places, NDArray[np.bool_]]:
    """Words as they are read, with a mark before the first of each sentence, at that word's place."""
    order: list[int] = []
    begun: list[bool] = []
    fresh = True
    for index, word in enumerate(words):
        if word[0].isalnum() or word[0] == "<":
            if fresh:
                order.append(index)
                begun.append(True)
            order.append(index)
            begun.append(False)
            fresh = False
        elif word in BREAKS:
            fresh = True
    return np.array(order, np.int32), np.array(begun, np.bool_)


def _place(values: Numbers, kind: int) -> Places:
    """Where hashes of one kind fall."""
    salted = (values + np.uint64(_SALTS[kind])) * _MIX
    salted ^= salted >> np.uint64(29)
    return ((salted * _MIX) >> _SHIFT).astype(np.int32)


def _sequences(hashes: Numbers, where: Places) -> list[Kind]:
    """Single words, pairs, triples, and pairs with one word between."""
    pairs = hashes[:-1] * _MIX + hashes[1:]
    triples = pairs[:-1] * _MIX + hashes[2:]
    skips = hashes[:-2] * _PAIR + hashes[2:]
    return [
        Kind(_place(hashes, WORDS_KIND), where, where),
        Kind(_place(pairs, PAIRS), where[:-1], where[1:]),
        Kind(_place(triples, TRIPLES), where[:-2], where[2:]),
        Kind(_place(skips, SKIPS), where[:-2], where[2:]),
    ]


def _pieces(words: list[str], spoken: Places) -> Kind:
    """All runs of a few letters in words, with the words' edges."""
    chosen = [words[i] for i in spoken]
    joined = " " + " ".join(chosen) + " "
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    word = np.cumsum(codes == ord(" ")) - 1
    places: list[Places] = []
    owners: list[Any] = []
    hashed = codes[:-1] * _MIX + codes[1:]
    for size in PIECES:
        hashed = hashed[: len(codes) - size + 1] * _MIX + codes[size - 1 :]
        owner = word[: len(hashed)]
        whole = word[size - 2 : size - 2 + len(hashed)] == owner
        places.append(_place(hashed[whole], PIECES_KIND + size))
        owners.append(owner[whole])
    owned = np.concatenate(owners)
    order = np.argsort(owned, kind="stable")
    first = spoken[owned[order]] if len(spoken) else owned[order].astype(np.int32)
    return Kind(np.concatenate(places)[order], first, first)


def meaning_of(said: Words) -> Meaning:
    """What the words mean; of phrases that begin at a word, the longest."""
    words, known = said.words, lexicon()
    concepts: list[int] = []
    spans: list[tuple[int, int]] = []
    index = 0
    while index < len(words):
        word = words[index]
        length, meanings = _phrase(words, index, known) if word in known.beginnings else (0, ())
        if not meanings:
            length, meaning = 1, known.of_word(word)
            meanings = (meaning,) if meaning else ()
        concepts.extend(meanings)
        spans.extend([(index, index + length - 1)] * len(meanings))
        index += length
    return Meaning(concepts, spans)


LONGEST_PHRASE = 8


def _phrase(words: list[str], index: int, known: Lexicon) -> tuple[int, tuple[int, ...]]:
    for length in range(min(LONGEST_PHRASE, len(words) - index), 1, -1):
        meanings = known.phrases.get(" ".join(words[index : index + length]))
        if meanings:
            return length, meanings
    return 0, ()


def _chains(concepts: list[int], spans: list[tuple[int, int]]) -> list[Kind]:
    """Concepts alone, and chains of two and three that stand close to each other."""
    alone = [(concept, *span) for concept, span in zip(concepts, spans, strict=True)]
    chains: list[tuple[int, int, int]] = []
    known = lexicon()
    wants = [place for place, concept in enumerate(concepts) if not known.is_topic(concept)]
    concepts, spans = [concepts[place] for place in wants], [spans[place] for place in wants]
    for index, concept in enumerate(concepts):
        first, last = spans[index]
        for second in range(index + 1, min(index + 5, len(concepts))):
            if spans[second][0] - last > FARTHEST:
                break
            chains.append((concept << 8 | concepts[second], first, spans[second][1]))
            for third in range(second + 1, min(second + 3, len(concepts))):
                if spans[third][0] - spans[second][1] > FARTHEST:
                    break
                code = (concept << 16) | (concepts[second] << 8) | concepts[third]
                chains.append((code, first, spans[third][1]))
    return [_columns(alone, CONCEPTS), _columns(chains, CHAINS)]


def _mixed(
    hashes: Numbers, order: Places, begun: NDArray[np.bool_], concepts: list[int], spans: list[tuple[int, int]]
) -> list[Kind]:
    """Pairs and triples in which a word with a meaning counts as its meaning."""
    said = hashes.copy()
    last = np.arange(len(hashes), dtype=np.int32)
    covered = np.zeros(len(hashes), np.bool_)
    for concept, (first, final) in zip(concepts, spans, strict=True):
        said[first] = _MEANING + np.uint64(concept)
        last[first] = final
        covered[first + 1 : final + 1] = True
    kept = ~covered[order]
    where, fresh = order[kept], begun[kept]
    units = np.where(fresh, _BEGINNING, said[where])
    ends = np.where(fresh, where, last[where])
    pairs = units[:-1] * _MIX + units[1:]
    triples = pairs[:-1] * _MIX + units[2:]
    skips = units[:-2] * _PAIR + units[2:]
    return [
        Kind(_place(pairs, MIXED_PAIRS), where[:-1], ends[1:]),
        Kind(_place(triples, MIXED_TRIPLES), where[:-2], ends[2:]),
        Kind(_place(skips, MIXED_SKIPS), where[:-2], ends[2:]),
    ]


def _columns(rows: list[tuple[int, int, int]], kind: int) -> Kind:
    table = np.array(rows, np.int64).reshape(-1, 3)
    places = _place(table[:, 0].astype(np.uint64), kind)
    return Kind(places, table[:, 1].astype(np.int32), table[:, 2].astype(np.int32))


def _signs(hashes: Numbers, words: list[str]) -> Kind:
    """Signs and line breaks with the word after them."""
    where = [i for i, word in enumerate(words[:-1]) if not word[0].isalnum() and word != LINE]
    at = np.array(where, np.int32)
    return Kind(_place(hashes[at] * _MIX + hashes[at + 1], SIGNS), at, at + 1)
