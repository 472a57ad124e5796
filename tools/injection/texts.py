"""The tuning family's texts: templates joined to payloads and documents, and where in them the attack is."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from tools.injection.builtin import BUILTIN
from tools.injection.disguise import DISGUISES
from tools.injection.grammar import Template, read

FAMILY = Path(__file__).parent / "family"
PROSE = Path(__file__).parent / "prose.txt"
FOLDS = 3
"""Templates are dealt to this many parts; none has a template of another."""

MOST_CHOICES = 72
"""Choices of a template beyond which more make no more texts."""

LONG = ("document", "mail", "code", "tech", "notice")
"""Kinds that long texts are made of."""


@dataclass(frozen=True)
class Text:
    """A text with the characters of its attack, from and to before; (0, 0) in harmless ones."""

    text: str
    attack: tuple[int, int]
    kind: str
    language: str
    fold: int
    source: str

    @property
    def harmful(self) -> bool:
        """Whether there is an attack in it."""
        return self.attack[1] > 0


WRAPPERS = (
    ("Subject: {a}\n\n{b}\n", "\n{c}\n"),
    ('<html><body><p>{b}</p>\n<p style="color:#fff">', "</p>\n<p>{c}</p></body></html>"),
    ("{b}\n<!-- ", " -->\n{c}"),
    ('{"status": "ok", "title": "{a}", "content": "{b} ', ' {c}", "page": 3}'),
    ("Tool result (search):\n1. {a}\n2. ", "\n3. {c}"),
    ("def run():\n    # {a}\n    # ", "\n    return 1\n"),
    ("Summarize the following text:\n\n{b} ", " {c}"),
    ("Translate to English: {b}\n", "\n"),
    ("```\n{b}\n", "\n```"),
    ("{a}\n> ", "\n{c}"),
    ("Review by user: {b} ", " 5 stars."),
    ("| name | note |\n| --- | --- |\n| {a} | ", " |\n"),
    ("{b}\n\n---\n", ""),
    ("Q: {a}\nA: {b}\nQ: ", "\nA:"),
    ("", "\n\nText: {b}"),
    ("<document>\n{b}\n", "\n</document>\n{c}"),
    ("From: office@example.org\nTo: me\nSubject: {a}\n\n{b}\n\n", "\n\nKind regards\n-- \n{a}"),
    ("title: {a}\ndescription: >\n  {b}\n  ", "\ntags: [news, help]\n"),
    ("id,name,comment\n1,Anna,{a}\n2,Ben,", "\n3,Carla,{b}\n"),
    ("<item><title>{a}</title><body>{b} ", "</body></item>"),
    ("[12:04] anna: {a}\n[12:05] ben: ", "\n[12:07] anna: {c}"),
    ("2026-03-01 INFO {a}\n2026-03-01 WARN ", "\n2026-03-01 INFO done\n"),
    ("/**\n * {a}\n * ", "\n */\nint main(void);\n"),
    ("INSERT INTO notes (text) VALUES ('{a}'), ('", "');"),
    ("## {a}\n\n{b}\n\n* ", "\n* {c}\n"),
    ('[{"role": "user", "content": "{a}"}, {"role": "tool", "content": "', '"}]'),
    ("Ticket 4711\nCustomer writes: {b} ", "\nPriority: normal"),
    ("Answer the question using the passage.\nPassage: {b} ", "\nQuestion: {a}"),
    ("{b}\n\nFootnote 1: ", "\n\n{c}"),
    ("Notes of the meeting\n- {a}\n- ", "\n- {c}\nNext meeting: Friday"),
    ('<img src="a.png" alt="', '">\n<p>{b}</p>'),
    ("Event: {a}\nWhere: room 5\nDetails: ", "\nGuests: 4"),
    ("Is this review positive or negative? Review: {b} ", ""),
    ("{a} (", ") {c}"),
)


class Family:
    """The templates of this family by language, label and fold."""

    def __init__(self, directory: Path = FAMILY) -> None:
        """Read the grammars."""
        self.templates = read(directory, BUILTIN)
        self.languages = sorted({template.language for template in self.templates})
        self._by: dict[tuple[str, str, int], list[Template]] = defaultdict(list)
        for template in self.templates:
            fold = fold_of(template)
            self._by[template.language, template.label, fold].append(template)
            if template.label == "benign" and template.kind in LONG:
                self._by[template.language, "long", fold].append(template)
            if template.label == "benign" and template.kind == "document":
                self._by[template.language, "document", fold].append(template)

    def some(self, language: str, label: str, fold: int) -> Sequence[Template]:
        """Templates of one kind in one part; of the nearest kind that the language has there."""
        for other in (label, "long", "benign"):
            if (label == other or label != "attack") and (found := self._by[language, other, fold]):
                return found
        return self._by["en", label, fold]


def fold_of(template: Template) -> int:
    """Which part a template belongs to."""
    return crc32(template.source.encode()) % FOLDS


def harmful(family: Family, each: int, chance: random.Random) -> Iterator[Text]:
    """Texts with an attack: `each` of a template with some choices, up to twice as many with more."""
    for template in family.templates:
        if template.label != "attack":
            continue
        fold = fold_of(template)
        for number in range(_times(template, each)):
            payload = _payload(family, template, fold, chance)
            payload = _varied(payload, number, chance)
            yield _placed(family, payload, template, fold, chance, alone=number % 2 == 0)


def harmless(family: Family, each: int, chance: random.Random) -> Iterator[Text]:
    """Texts without one: about `each` of every template, alone and among others."""
    for template in family.templates:
        if template.label == "attack":
            continue
        fold = fold_of(template)
        kind = template.kind if template.label == "benign" else f"trigger {template.kind}"
        for number in range(_times(template, each)):
            text = template.make(chance)
            if number % 3 == 1:
                text = _joined(family, [text], template.language, fold, chance, chance.randint(1, 4))
            elif number % 3 == 2:
                text = _wrapped(family, text, template.language, fold, chance)[0]
            text = _varied(text, number, chance)
            yield Text(text, (0, 0), kind, template.language, fold, template.source)


def documents(family: Family, count: int, chance: random.Random) -> Iterator[Text]:
    """Long harmless texts in all languages, from some hundred characters to 16,000."""
    for number in range(count):
        language = "en" if number % 2 else chance.choice(family.languages)
        fold = number % FOLDS
        length = int(300 * (16000 / 300) ** chance.random())
        begin = [template.make(chance) for template in _trigger(family, language, fold, chance)]
        kind = "trigger long" if begin else "long"
        text = _filled(family, begin, language, fold, chance, length)
        yield Text(text, (0, 0), kind, language, fold, f"long {number}")


def prose() -> Iterator[Text]:
    """Harmless English that was written for people and not for this: passages of manuals and licences, by document."""
    for passage in PROSE.read_text(encoding="utf-8").split("\f\n"):
        document, text = passage.split("\n", 1)
        yield Text(text.strip(), (0, 0), "prose", "en", crc32(document.encode()) % FOLDS, document)


def hidden(family: Family, count: int, chance: random.Random) -> Iterator[Text]:
    """Long texts with an attack anywhere."""
    for number in range(count):
        language = "en" if number % 2 else chance.choice(family.languages)
        fold = number % FOLDS
        template = chance.choice(family.some(language, "attack", fold))
        payload = _payload(family, template, fold, chance)
        length = int(200 * (4000 / 200) ** chance.random())
        text = _filled(family, [], language, fold, chance, length)
        place = chance.choice([found for found in range(len(text)) if text[found] in " \n"] or [0])
        yield _text(text[: place + 1], payload, text[place:], template, fold)


def _times(template: Template, each: int) -> int:
    """More texts of a template with more choices; without any it always makes the same words."""
    choices = template.source.count("|") + 4 * template.source.count("{")
    return max(each * min(choices + 4, MOST_CHOICES) // 12, 1)


def _varied(text: str, number: int, chance: random.Random) -> str:
    """Now and then hidden, now and then in other words."""
    if number % 7 == 6:
        return chance.choice(list(DISGUISES.values()))(text, chance)
    return text


def _trigger(family: Family, language: str, fold: int, chance: random.Random) -> list[Template]:
    if chance.random() > 0.1:
        return []
    return [chance.choice(family.some(language, "trigger", fold))]


def _payload(family: Family, template: Template, fold: int, chance: random.Random) -> str:
    """One template, or some of the same kind after each other."""
    parts = [template.make(chance)]
    same = [one for one in family.some(template.language, "attack", fold) if one.kind == template.kind]
    while chance.random() < 0.35 and len(parts) < 5:
        parts.append(chance.choice(same).make(chance))
    chance.shuffle(parts)
    return chance.choice((" ", " ", "\n")).join(parts)


def _placed(family: Family, payload: str, template: Template, fold: int, chance: random.Random, *, alone: bool) -> Text:
    if alone:
        return Text(payload, (0, len(payload)), template.kind, template.language, fold, template.source)
    if chance.random() < 0.5:
        before, after = _wrapping(family, template.language, fold, chance)
        return _text(before, payload, after, template, fold)
    around = [_joined(family, [], template.language, fold, chance, chance.randint(1, 4)) for _ in range(2)]
    before, after = chance.choice([("", around[1]), (around[0], ""), (around[0], around[1])])
    sign = chance.choice((" ", "\n", "\n\n"))
    return _text(before + sign if before else "", payload, sign + after if after else "", template, fold)


def _text(before: str, payload: str, after: str, template: Template, fold: int) -> Text:
    attack = (len(before), len(before) + len(payload))
    return Text(before + payload + after, attack, template.kind, template.language, fold, template.source)


def _wrapping(family: Family, language: str, fold: int, chance: random.Random) -> tuple[str, str]:
    before, after = chance.choice(WRAPPERS)
    for name in "abc":
        if "{" + name + "}" in before + after:
            said = _joined(family, [], language, fold, chance, 1 if name == "a" else chance.randint(1, 3))
            before, after = before.replace("{" + name + "}", said), after.replace("{" + name + "}", said)
    return before, after


def _wrapped(family: Family, text: str, language: str, fold: int, chance: random.Random) -> tuple[str, int]:
    before, after = _wrapping(family, language, fold, chance)
    return before + text + after, len(before)


def _joined(family: Family, parts: list[str], language: str, fold: int, chance: random.Random, more: int) -> str:
    """Some harmless sentences together with those given."""
    said = [*parts, *(_sentence(family, language, fold, chance) for _ in range(more))]
    chance.shuffle(said)
    return chance.choice((" ", " ", "\n", "\n\n")).join(said)


def _sentence(family: Family, language: str, fold: int, chance: random.Random) -> str:
    templates = family.some(language, "long", fold)
    return chance.choice(templates).make(chance)


def _filled(family: Family, begin: list[str], language: str, fold: int, chance: random.Random, length: int) -> str:
    """Sentences until the text is long enough, as prose or in one of the kinds that have lines."""
    templates = family.some(language, chance.choice(("document", "document", "long")), fold)
    sign = chance.choice((" ", " ", "\n", "\n\n"))
    said = list(begin)
    size = sum(map(len, said))
    while size < length:
        said.append(chance.choice(templates).make(chance))
        size += len(said[-1]) + len(sign)
    chance.shuffle(said)
    return sign.join(said)
