"""What words mean for this rule, in many languages: `lexicon.txt`, read once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from llmops_sidecars.guard.rules.injection.fold import fold
from llmops_sidecars.guard.rules.injection.letters import TOKEN

SHORTEST_STEM = 3
LONGEST_PHRASE = 6
"""Words; an ideograph is one."""

PLAIN_WORDS, ENGLISH_WORDS = "WORDS", "ENGLISH"
"""Sections of words without a meaning here: to tell words written together apart, and to tell English."""

TOPIC = "topic-"
"""Begins the names of concepts that tell what a text is about, and nothing of what it wants."""

ARABIC_PREFIXES = ("وال", "بال", "فال", "كال", "لل", "ال", "و", "ف", "ب", "ل")


@dataclass(frozen=True)
class Lexicon:
    """Concepts are numbered from 1 in the file's order; 0 stands for none."""

    concepts: tuple[str, ...]
    words: dict[str, int]
    stems: dict[str, int]
    phrases: dict[str, tuple[int, ...]]
    beginnings: frozenset[str]
    plain: frozenset[str]
    english: frozenset[str]

    def is_topic(self, concept: int) -> bool:
        """Whether a concept only tells what a text is about."""
        return self.concepts[concept - 1].startswith(TOPIC)

    def of_word(self, word: str) -> int:
        """The concept of one word."""
        found = self.words.get(word)
        if found is not None:
            return found
        for length in range(len(word), SHORTEST_STEM - 1, -1):
            found = self.stems.get(word[:length])
            if found is not None:
                return found
        return self._without_article(word) if "\u0620" <= word[:1] <= "\u064a" else 0

    def _without_article(self, word: str) -> int:
        """Arabic writes articles and short prepositions together with their word."""
        for prefix in ARABIC_PREFIXES:
            if word.startswith(prefix) and (found := self.words.get(word[len(prefix) :])):
                return found
        return 0


@cache
def lexicon() -> Lexicon:
    """Read the file that ships with this package."""
    concepts: list[str] = []
    words: dict[str, int] = {}
    stems: dict[str, int] = {}
    phrases: dict[str, tuple[int, ...]] = {}
    plain: set[str] = set()
    english: set[str] = set()
    for section, entry in _entries():
        if section in {PLAIN_WORDS, ENGLISH_WORDS}:
            (plain if section == PLAIN_WORDS else english).add(entry)
            continue
        if section not in concepts:
            concepts.append(section)
        number = concepts.index(section) + 1
        parts = _parts(entry)
        if len(parts) > 1:
            known = phrases.get(" ".join(parts), ())
            phrases[" ".join(parts)] = known if number in known else (*known, number)
        elif parts[0].endswith("*"):
            stems.setdefault(parts[0][:-1], number)
        else:
            words.setdefault(parts[0], number)
    beginnings = frozenset(phrase.split(" ", 1)[0] for phrase in phrases)
    english |= plain
    plain |= {word for word in words if word.isascii()}
    return Lexicon(tuple(concepts), words, stems, phrases, beginnings, frozenset(plain), frozenset(english))


def known_words() -> frozenset[str]:
    """Words that a text without spaces is cut into."""
    return lexicon().plain


def _entries() -> Iterator[tuple[str, str]]:
    section = ""
    text = resources.files(__package__).joinpath("lexicon.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("= "):
            section = line[2:].strip()
        elif line and not line.startswith("//"):
            for entry in line.split():
                yield section, entry


def _parts(entry: str) -> list[str]:
    """The words of an entry in their folded form, as a text's words are made."""
    stem = entry.endswith("*")
    parts = [found[0] for found in TOKEN.finditer(fold(entry.rstrip("*").replace("_", " ")))]
    if stem:
        parts[-1] += "*"
    return parts
