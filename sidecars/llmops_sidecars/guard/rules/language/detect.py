"""Which languages a text is in, by its parts; what is too short, or code, is in none.

Scripts of one language decide alone. Among the languages of a script, common words and letters of their own count. A
part is of a language that is not allowed when this says so against the best of the allowed ones: neighbours such as
Danish and Norwegian are hard to tell apart, and then nothing is said.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from llmops_sidecars.guard.rules.language.table import (
    BY_SCRIPT,
    BY_WORDS,
    CHINESE,
    HAN,
    JAPANESE,
    SCRIPTS,
    UNDETERMINED,
    table,
    words_of,
)
from llmops_sidecars.guard.rules.scan import joins

MOST_PARTS = 48
"""Groups of sentences that are looked at, evenly over the text: two thousandths of a second."""

LEAST_HITS, LEAST_SHARE = 3, 0.2
"""Words that speak for a language before it counts, and their share of all words of the part."""

LEAST_APART = 2
"""Of them, those that do not speak for the best of the allowed languages, too; and those that do so as a word, by more
than a letter, as names do."""

GROUP, LONGEST = 12, 60
"""Words that are looked at together: from so many on, in whole sentences, and at most."""

CODE_SIGNS = 0.04
"""The share of signs of programs in a line from which it is no text, when there are several."""

_FENCED = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_DATA = re.compile(r"://|[@\d\\_]|\w[.]\w")
_ASCII = re.compile(r"[!-~]+")
_PARTS = re.compile("(?<=[.!?\u3002\uff01\uff1f\u061f\u0964])\\s+|\n+")
_SIGN = re.compile(r"[{}()\[\]=<>;|&\\$#^~*/+%]")
NOTHING: Mapping[str, float] = {}
SCRIPT_NAMES = {script.upper(): script for script in BY_WORDS}


def languages(text: str, allowed: frozenset[str], confidence: float) -> Counter[str]:
    """Letters by language: those that are not allowed each under its code, all others under the best allowed one.

    `confidence`: how much of what speaks for either speaks for a language that is not allowed, before it is called so.
    """
    found: Counter[str] = Counter()
    whole = unicodedata.normalize("NFC", text)
    kana = any(SCRIPTS[letter] in {"HIRAGANA", "KATAKANA"} for letter in whole) if not whole.isascii() else False
    parts = list(_parts(whole))
    for part in parts[:: len(parts) // MOST_PARTS + 1]:
        for script, letters in _scripts(part).items():
            if script in SCRIPT_NAMES:
                language = _by_words(part, SCRIPT_NAMES[script], allowed, confidence) or _usual(script, allowed)
            elif script == HAN:
                language = JAPANESE if kana else CHINESE
            else:
                language = BY_SCRIPT.get(script, UNDETERMINED)
            if language:
                found[language] += letters
    return found


def _parts(text: str) -> Iterator[str]:
    """Words of sentences that are text (no code, addresses, numbers), some sentences or a piece of a long one each."""
    group: list[str] = []
    for sentence in _PARTS.split(_FENCED.sub("\n", text)):
        signs = len(_SIGN.findall(sentence))
        if signs > 1 and signs > len(sentence) * CODE_SIGNS:
            continue
        group += sentence.split()
        if len(group) >= GROUP:
            yield from _pieces(group)
            group = []
    yield from _pieces(group)


def _pieces(words: list[str]) -> Iterator[str]:
    for start in range(0, len(words), LONGEST):
        yield " ".join(filter(None, map(_text_of, words[start : start + LONGEST])))


def _text_of(word: str) -> str:
    """The word without data; scripts without spaces between words have theirs inside a sentence."""
    if not _DATA.search(word):
        return word
    runs_on = not word.isascii() and any(letter.isalpha() and not joins(letter) for letter in word)
    return _ASCII.sub(" ", word) if runs_on else ""


def _scripts(part: str) -> Counter[str]:
    """Letters by script."""
    if part.isascii():
        return Counter(LATIN=sum(map(str.isalpha, part)))
    scripts = Counter(map(SCRIPTS.__getitem__, part))
    del scripts[""]
    return scripts


def _by_words(part: str, script: str, allowed: frozenset[str], confidence: float) -> str:
    """The language of a part by its words of one script; empty when they say too little."""
    spoken = _spoken(part, script)
    evidence = [said for word in spoken if (said := _evidence(word))]
    scores: Counter[str] = Counter()
    for one in evidence:
        scores.update(one)
    best = _first(scores, scores.keys())
    ours = _first(scores, scores.keys() & allowed)
    if not best or best == ours:
        return ours
    apart = [one.get(best, 0.0) for one in evidence if best in one and ours not in one]
    against = sum(one[ours] for one in evidence if ours in one and best not in one)
    hits = sum(best in one for one in evidence)
    words = sum(best in table().words.get(word, NOTHING) for word in spoken)
    sure = hits >= max(LEAST_HITS, len(spoken) * LEAST_SHARE) and min(len(apart), words) >= LEAST_APART
    return best if sure and sum(apart) >= confidence * (sum(apart) + against) else ours


def _usual(script: str, allowed: frozenset[str]) -> str:
    """The best known language of a script in which no allowed one is written; Latin letters are in names everywhere."""
    languages = table().scripts[SCRIPT_NAMES[script]]
    return "" if script == "LATIN" or allowed & set(languages) else languages[0]


def _first(scores: Counter[str], languages: Iterable[str]) -> str:
    """The language with the highest score, the first by name among equals."""
    return min(languages, key=lambda language: (-scores[language], language), default="")


def _spoken(part: str, script: str) -> list[str]:
    """The words of a script in lower case; what is in capitals among others is a name or a program's word."""
    words = [word for word in words_of(part) if SCRIPTS[word[0]] == script.upper()]
    if not part.isupper():
        words = [word for word in words if len(word) == 1 or not word.isupper()]
    return [word.lower() for word in words]


def _evidence(word: str) -> Mapping[str, float]:
    """What a word says for each language."""
    known = table()
    whole = known.words.get(word, NOTHING)
    if word.isascii():
        return whole
    said = dict(whole)
    for letter in set(word):
        for language, weight in known.letters.get(letter, {}).items():
            said[language] = max(said.get(language, 0.0), weight)
    return said
