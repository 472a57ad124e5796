"""Texts to judge the injection rule by: the evaluation family's grammars, wrapped, hidden and disguised in own ways.

Nothing here is shared with `tools/injection` but the engine that expands grammars: other templates, lists, wrappers,
disguises and ways to make long texts.
"""

from __future__ import annotations

import base64
import random
import urllib.parse
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.injection.builtin import BUILTIN
from tools.injection.grammar import Template, read

FAMILY = Path(__file__).parent / "family"
SEED = 77

RAW, WRAPPED, HIDDEN, DISGUISED = "raw", "wrapped", "hidden in long texts", "disguised"
ORDINARY, ABOUT, TRIGGERS = "ordinary", "about attacks", "with trigger words"
LENGTHS = (150, 600, 2500, 10000, 16000)
"""Ends of the length buckets, in characters."""

EACH = 6


@dataclass(frozen=True)
class Case:
    """A text, whether it is an attack, and what it is counted under."""

    text: str
    attack: bool
    form: str
    kind: str
    language: str

    @property
    def length(self) -> str:
        """The name of its length bucket."""
        return next((f"under {end}" for end in LENGTHS if len(self.text) < end), f"{LENGTHS[-1]} and more")


FRAMES = (
    "From: {a}\nTo: help desk\n\n{b}\n\n{x}\n\n{c}",
    '{"page":2,"items":[{"id":17,"body":"{b}"},{"id":18,"body":"{x}"},{"id":19,"body":"{c}"}]}',
    "<main><h2>{a}</h2><p>{b}</p><p>{x}</p><footer>{c}</footer></main>",
    "// {a}\nfunction load() {\n  // {x}\n  return fetch('/api');\n}",
    "{b} {x} {c}",
    "{x}\n\n{b} {c}",
    "{b}\n{c}\n\n{x}",
    "Please give me the gist of this page:\n---\n{b}\n{x}\n{c}\n---",
    "tool: browse -> 200 OK\n{b}\n{x}",
    "| date | remark |\n|---|---|\n| Monday | {a} |\n| Tuesday | {x} |",
    "Customer review, 2 stars: {b} {x}",
    "[retrieved passage 1] {b}\n[retrieved passage 2] {x}\n[retrieved passage 3] {c}",
)


def _wide(text: str, _chance: random.Random) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def _dotted(text: str, _chance: random.Random) -> str:
    return "  ".join(".".join(word) for word in text.split())


def _joiners(text: str, chance: random.Random) -> str:
    return "".join(c + ("\u200d" if chance.random() < 0.5 else "") for c in text)


def _digits(text: str, _chance: random.Random) -> str:
    return text.translate(str.maketrans("aeiotAEIOT", "4310743107"))


def _greek(text: str, _chance: random.Random) -> str:
    return text.translate(str.maketrans("aoviu", "\u03b1\u03bf\u03bd\u03b9\u03c5"))


def _shouted(text: str, _chance: random.Random) -> str:
    return text.swapcase()


def _safe64(text: str, _chance: random.Random) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _percent(text: str, _chance: random.Random) -> str:
    return urllib.parse.quote(text)


def _backwards(text: str, _chance: random.Random) -> str:
    return text[::-1]


def _slips(text: str, chance: random.Random) -> str:
    """One letter of some words lost."""
    words = []
    for word in text.split():
        place = chance.randrange(len(word))
        words.append(word[:place] + word[place + 1 :] if len(word) > 4 and chance.random() < 0.3 else word)
    return " ".join(words)


HIDDEN_BY: tuple[Callable[[str, random.Random], str], ...] = (
    _wide,
    _dotted,
    _joiners,
    _digits,
    _greek,
    _shouted,
    _safe64,
    _percent,
    _backwards,
    _slips,
)
LATIN_ONLY = frozenset({_dotted, _digits, _greek, _backwards})
"""Ways that make no sense in other alphabets, or are not undone there."""


class Set:
    """All cases, the same on every run."""

    def __init__(self, directory: Path = FAMILY, seed: int = SEED) -> None:
        """Read the grammars."""
        self._templates = read(directory, BUILTIN)
        self._chance = random.Random(seed)
        self._prose: dict[str, list[Template]] = defaultdict(list)
        for template in self._templates:
            if template.label == "benign" and template.kind in {"document", "mail"}:
                self._prose[template.language].append(template)

    def cases(self) -> list[Case]:
        """Attacks in their forms, then harmless texts."""
        return [*self._attacks(), *self._harmless(), *self._long()]

    def _attacks(self) -> Iterator[Case]:
        for template in self._templates:
            if template.label != "attack":
                continue
            for _ in range(EACH):
                yield self._case(template, RAW, template.make(self._chance))
                yield self._case(template, WRAPPED, self._framed(template.make(self._chance), template.language))
            for _ in range(EACH // 3):
                yield self._case(template, HIDDEN, self._buried(template.make(self._chance), template.language))
                yield self._case(template, DISGUISED, self._disguised(template.make(self._chance), template.language))

    def _harmless(self) -> Iterator[Case]:
        for template in self._templates:
            if template.label == "attack":
                continue
            form = TRIGGERS if template.label == "trigger" else ABOUT if template.kind == "security" else ORDINARY
            for _ in range(EACH):
                text = template.make(self._chance)
                yield Case(text, attack=False, form=form, kind=template.kind, language=template.language)
            framed = self._framed(template.make(self._chance), template.language)
            yield Case(framed, attack=False, form=form, kind=template.kind, language=template.language)

    def _long(self) -> Iterator[Case]:
        """Harmless texts of all lengths up to the end of the last bucket."""
        for number in range(1200):
            language = "en" if number % 3 else self._chance.choice(sorted(self._prose))
            length = int(50 * (LENGTHS[-1] / 50) ** self._chance.random())
            text = self.prose(language, length)
            yield Case(text, attack=False, form=ORDINARY, kind="long", language=language)

    @staticmethod
    def _case(template: Template, form: str, text: str) -> Case:
        return Case(text, attack=True, form=form, kind=template.kind, language=template.language)

    def _said(self, language: str) -> str:
        return self._chance.choice(self._prose[language]).make(self._chance)

    def _framed(self, text: str, language: str) -> str:
        frame = self._chance.choice(FRAMES)
        for name in "abc":
            frame = frame.replace("{" + name + "}", self._said(language), 1)
        return frame.replace("{x}", text, 1)

    def prose(self, language: str, length: int) -> str:
        """Harmless paragraphs of one to five sentences, of at least so many characters."""
        paragraphs: list[str] = []
        while sum(map(len, paragraphs)) < length:
            paragraphs.append(" ".join(self._said(language) for _ in range(self._chance.randint(1, 5))))
        return "\n\n".join(paragraphs)

    def _buried(self, text: str, language: str) -> str:
        """At the end of some sentence of a long text."""
        passages = self.prose(language, int(600 * (LENGTHS[-1] / 600) ** self._chance.random()))
        ends = [place + 1 for place, sign in enumerate(passages) if sign in ".!?。।"] or [len(passages)]
        place = self._chance.choice(ends)
        return f"{passages[:place]} {text} {passages[place:]}"

    def _disguised(self, text: str, language: str) -> str:
        latin = language not in {"ru", "ar", "zh", "ja", "ko", "hi"} and text.isascii()
        ways: Sequence[Callable[[str, random.Random], str]] = [
            way for way in HIDDEN_BY if latin or way not in LATIN_ONLY
        ]
        return self._chance.choice(ways)(text, self._chance)
