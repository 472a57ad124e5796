"""What is known of languages: their scripts, commonest words and own letters, read from `languages.txt` once."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

BY_SCRIPT = {
    "ARMENIAN": "hy",
    "BENGALI": "bn",
    "ETHIOPIC": "am",
    "GEORGIAN": "ka",
    "GREEK": "el",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KANNADA": "kn",
    "KATAKANA": "ja",
    "KATAKANA-HIRAGANA": "ja",
    "KHMER": "km",
    "LAO": "lo",
    "MALAYALAM": "ml",
    "MYANMAR": "my",
    "ORIYA": "or",
    "SINHALA": "si",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
    "TIBETAN": "bo",
}
"""Scripts that say which language it is, by the names of Unicode; a script that is in no list is `und`."""

CHINESE, JAPANESE, UNDETERMINED = "zh", "ja", "und"
HAN = "CJK"

BY_WORDS = ("Arabic", "Cyrillic", "Devanagari", "Hebrew", "Latin")
"""Scripts of several languages, which their words tell apart."""

LETTER = 0.5
"""What a letter of its own says for a language, against a word."""

_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0900-\u0dff\u0e31-\u0e4e\u200c"
WORD = re.compile(rf"(?:[^\W\d_]|[{_MARKS}])+")


@dataclass(frozen=True)
class Table:
    """Weights by word and by letter, for each language that has it; the languages of each script, all languages."""

    words: Mapping[str, Mapping[str, float]]
    letters: Mapping[str, Mapping[str, float]]
    scripts: Mapping[str, tuple[str, ...]]
    languages: frozenset[str]


@cache
def table() -> Table:
    """Read it. What few languages of a script have says more than what many have: the inverse document frequency."""
    words: dict[str, dict[str, float]] = {}
    letters: dict[str, dict[str, float]] = {}
    scripts: dict[str, list[str]] = {}
    script_of: dict[str, str] = {}
    for code, script, own, common in _entries():
        scripts.setdefault(script, []).append(code)
        for entries, known, weight in ((common, words, 1.0), (own, letters, LETTER)):
            for entry in entries:
                known.setdefault(entry, {})[code], script_of[entry] = weight, script
    for known in (words, letters):
        for entry, codes in known.items():
            share = len(scripts[script_of[entry]]) / len(codes)
            known[entry] = {code: weight * (1 + math.log(share)) for code, weight in codes.items()}
    named = set(BY_SCRIPT.values()) | {CHINESE, UNDETERMINED, *(code for codes in scripts.values() for code in codes)}
    return Table(words, letters, {script: tuple(codes) for script, codes in scripts.items()}, frozenset(named))


def words_of(text: str) -> list[str]:
    """The words of a text, as they are written; an apostrophe ends one."""
    return WORD.findall(text)


class _Scripts(dict[str, str]):
    """From a letter to its script, filled as letters are met; empty for what is no letter."""

    def __missing__(self, letter: str) -> str:
        name = unicodedata.name(letter, "") if letter.isalpha() else ""
        self[letter] = script = name.partition(" ")[0].removesuffix("WIDTH")
        return script


SCRIPTS = _Scripts()
"""In capitals, as Unicode names them."""


def _entries() -> Iterator[tuple[str, str, set[str], set[str]]]:
    lines = resources.files(__package__).joinpath("languages.txt").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line and not line.startswith("//")]
    for head, said in zip(kept[::2], kept[1::2], strict=True):
        code, script, own = head.split()
        yield code, script, set() if own == "-" else set(own), set(words_of(unicodedata.normalize("NFC", said)))
