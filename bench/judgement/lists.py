"""Whether phrases and patterns of an author are found however they are written, and nothing that is nearly one.

Both do what their author says, so this is a check of that rather than a measure of judgement.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

from bench.judgement.cases import HIDING, Case, bucket, judged, kinds, rules_of
from bench.judgement.injection_set import Set
from llmops_sidecars.contract import Action, Pattern, PatternsRule, PhrasesRule

SEED, PHRASES, EACH = 916, 400, 60
SYLLABLES = {
    "Latin": ("ka", "lo", "mir", "tan", "ves", "dré", "ün", "po", "shi", "rog"),
    "Cyrillic": ("ба", "ло", "миг", "тун", "вес", "дре", "по", "ши", "рог", "ён"),
    "Greek": ("κα", "λο", "μιρ", "ταν", "βες", "ντρέ", "που", "σι", "ρογ", "ύν"),
    "Han": ("山", "河", "星", "海", "鹿", "松", "雪", "桥", "灯", "石"),
}
Way = Callable[[str], str]
WRITTEN: dict[str, Way] = {
    "as it is": lambda phrase: phrase,
    "in capitals": str.upper,
    "with spaces": lambda phrase: phrase.replace(" ", "   "),
    "over line breaks": lambda phrase: phrase.replace(" ", "\n"),
    "in brackets": lambda phrase: f"({phrase})",
    "full width": lambda phrase: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in phrase),
    "with an invisible character": lambda phrase: f"{phrase[:2]}\u200b{phrase[2:]}",
    "decomposed": lambda phrase: unicodedata.normalize("NFD", phrase),
}
NEARLY: dict[str, Way] = {
    "with a letter more": lambda phrase: f"{phrase}a" if phrase[-1].isascii() else f"{phrase}{phrase[-1]}",
    "with a letter before": lambda phrase: f"{phrase[0]}{phrase}",
    "without its last letter": lambda phrase: phrase[:-1],
    "backwards": lambda phrase: " ".join(reversed(phrase.split())) if " " in phrase else phrase[::-1],
}
PATTERNS = (
    Pattern("ticket", r"\bTCK-\d{4,8}\b", Action.REPORT),
    Pattern("room", r"(?i)\broom\s+[a-f]\d{3}\b", Action.REPORT),
    Pattern("plate", r"\b[A-Z]{1,3}-[A-Z]{1,2} \d{1,4}\b", Action.REPORT),
    Pattern("project", r"(?i)проект\s+север", Action.REPORT),
)
MATCHING: dict[str, Callable[[random.Random], str]] = {
    "ticket": lambda chance: f"TCK-{chance.randint(1000, 99999999)}",
    "room": lambda chance: (
        f"{chance.choice(('Room', 'room', 'ROOM'))} {chance.choice('abcdefABCDEF')}{_number(chance)}"
    ),
    "plate": lambda chance: (
        f"{chance.choice(('B', 'HH', 'MYK'))}-{chance.choice(('A', 'XY'))} {chance.randint(1, 9999)}"
    ),
    "project": lambda chance: chance.choice(("Проект Север", "проект  СЕВЕР", "проект\nсевер")),
}
ALMOST: dict[str, Callable[[random.Random], str]] = {
    "ticket": lambda chance: f"TCK-{chance.randint(1, 999)}",
    "room": lambda chance: f"room {chance.choice('ghxyz')}{_number(chance)}",
    "plate": lambda chance: f"b-{chance.choice(('a', 'xy'))} {chance.randint(1, 9999)}",
    "project": lambda chance: chance.choice(("проект юг", "северный проект")),
}


def measure() -> dict[str, Any]:
    """Of both rules: by how it is written, by alphabet or pattern, by length."""
    phrases = made_up()
    searched = rules_of(PhrasesRule("list", tuple(phrases), action=Action.REPORT))
    matched = rules_of(PatternsRule(PATTERNS))
    return {
        "phrases": judged(_phrases(phrases), lambda case: bool(kinds(case.text, searched))),
        "patterns": judged(_patterns(), lambda case: bool(kinds(case.text, matched))),
    }


def cases() -> list[Case]:
    """Those of both rules."""
    return [*_phrases(made_up()), *_patterns()]


def made_up() -> dict[str, str]:
    """Phrases of one to three words that no language has, and their alphabets."""
    chance, found = random.Random(SEED), dict[str, str]()
    while len(found) < PHRASES:
        alphabet = chance.choice(list(SYLLABLES))
        words = ("".join(chance.choices(SYLLABLES[alphabet], k=chance.randint(3, 4))) for _ in range(3))
        joint = "" if alphabet == "Han" else " "
        found[joint.join(list(words)[: chance.randint(1, 3)])] = alphabet
    return found


def _phrases(phrases: dict[str, str]) -> Iterator[Case]:
    chance, prose = random.Random(SEED), Set()
    for wanted, ways in ((True, WRITTEN), (False, NEARLY)):
        for name, way in ways.items():
            for number in range(EACH):
                phrase = chance.choice(list(phrases))
                said = way(phrase)
                if not wanted and (phrases[phrase] == "Han" or _holds_another(said, phrases)):
                    continue  # parts of words count where no spaces are between them
                text = _hidden(said, number, prose)
                yield Case(text, wanted, {"way": name, "alphabet": phrases[phrase], "length": bucket(text)})


def _holds_another(said: str, phrases: dict[str, str]) -> bool:
    words = said.split()
    ends = range(1, len(words) + 1)
    return any(" ".join(words[start:end]) in phrases for start in range(len(words)) for end in ends)


def _patterns() -> Iterator[Case]:
    chance, prose = random.Random(SEED), Set()
    for wanted, table in ((True, MATCHING), (False, ALMOST)):
        for name, make in table.items():
            for number in range(EACH):
                text = _hidden(make(chance), number, prose)
                yield Case(text, wanted, {"pattern": name, "length": bucket(text)})


def _hidden(said: str, number: int, prose: Set) -> str:
    """Alone in a sentence, or in the middle of prose of some length."""
    length = (0, *HIDING)[number % (len(HIDING) + 1)]
    before, after = (prose.prose("en", length // 2) if length else "This is" for _ in range(2))
    return f"{before} {said} {after}"


def _number(chance: random.Random) -> str:
    return f"{chance.randint(0, 999):03d}"
