"""Ages of people, as they are told in a dozen languages: the number alone is the finding."""

from __future__ import annotations

import re2

from llmops_sidecars.guard.rules.scan import ends_word, options, starts_word

OLDEST = 125
"""Years: nobody has been older."""

YEARS = r"(?:years?|yrs?\.?|year)"
START = r"(?:\A|[^\p{L}\p{N}_])"
"""RE2 knows the boundaries of ASCII words only."""

AGE = (
    rf"(?i)\b\d{{1,3}}[ \-]?{YEARS}[ \-](?:old|of age)|\b\d{{1,3}} ?y/?o\b"
    r"|\b\d{1,3}[ \-]?(?:jahre alt|jährige[nrms]?|jaar oud|jarige|år gammal|år gammel|vuotias|yaşında)"
    rf"|{START}(?:aged|age|ages|alter|âge|edad|età|idade|leeftijd|wiek|ålder|alder|ikä|věk|yaş|возраст|вік)"
    r"(?: is| was| of|: ?| ?= ?|\"? ?: ?)? ?\d{1,3}\b"
    rf"|{START}âgée?s? de \d{{1,3}}\b|\b(?:j'ai|elle a|il a) \d{{1,3}} ans\b"
    r"|\b(?:de|com) \d{1,3} (?:años de edad|anos de idade)|\b(?:tengo|tiene|tenho|tem) \d{1,3} a[ñn]os\b"
    r"|\b(?:ho|ha|di) \d{1,3} anni\b|\b(?:mam|ma) \d{1,3} lat\b|\bI(?:'m| am) \d{2}[.,;!?]"
    rf"|{START}(?:мне|ему|ей) \d{{1,3}} (?:лет|год)"
    rf"|\d{{1,3}} ?(?:岁|歳|周岁|세|살)|(?:年龄|年齢|나이)[ :]{{0,2}}\d{{1,3}}"
)
"""What tells an age: its unit, or a word before it."""

TAIL = re2.compile(r"\b\d{1,3}[ \-]?\pL{0,10}[ \-]?(?:of )?\pL{0,5}$", options())
"""What may be the beginning of an age."""

MOST_HELD = 32

OTHER_UNITS = ("month", "week", "day", "hour", "minute", "second", "monat", "mois", "mes", "%", "million")
"""What follows a number that is no age in years, a space left out."""

_NUMBER = re2.compile(r"\d{1,3}", options())


def ages(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The number in a match, when somebody can be so old."""
    found = _NUMBER.search(text[start:end])
    first, last = start + found.start(), start + found.end()
    fits = 0 < int(found.group()) <= OLDEST and starts_word(text, first)
    whole = ends_word(text, last) or text[last] in "岁歳周세살"
    other = text[last : last + 9].lstrip(" -").lower().startswith(OTHER_UNITS)
    decimal = text[last : last + 1] in {".", ","} and text[last + 1 : last + 2].isdigit()
    return [(first, last)] if fits and whole and not other and not decimal else []


def tail(text: str) -> int:
    """Where, at the end of a text, an age begins that may go on."""
    offset = max(len(text) - MOST_HELD, 0)
    found = TAIL.search(text[offset:])
    return len(text) if found is None else offset + int(found.start())
