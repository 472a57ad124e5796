"""National ids in a text: numbers by layout and check, ids with letters by pattern and check, some beside words."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import re2

from llmops_sidecars.contract import Country
from llmops_sidecars.guard.rules.pii.groups import SEPARATORS, Group, first_groups, search
from llmops_sidecars.guard.rules.pii.national import europe, lettered, world
from llmops_sidecars.guard.rules.pii.national.model import Lettered, Numeric, Valid
from llmops_sidecars.guard.rules.pii.words import REACH, is_beside, words_of
from llmops_sidecars.guard.rules.scan import ends_word, options, starts_word

Check = Callable[[str, int, int], list[tuple[int, int]]]

NUMERIC: tuple[Numeric, ...] = (*europe.IDS, *world.IDS)
LETTERED: tuple[Lettered, ...] = lettered.IDS

MOST_BEFORE = 8
"""Characters of what an id may have before its pattern."""

SHAPE = str.maketrans("012345678", "9" * 9)
_PIECES = re.compile("9+|[^9]+")

ANY_COUNTRY = (
    "national id",
    "national identity",
    "national identification",
    "identity number",
    "identity card number",
    "personal identification number",
    "tax number",
    "taxpayer number",
    "tax id",
)
"""Words for ids of any country."""


def numbers(countries: Collection[Country]) -> Check:
    """The check that tells which places in a run of digits are ids of these countries; of all, when there are none."""
    return _numbers([one for one in NUMERIC if not countries or one.country in countries])


def letters(countries: Collection[Country]) -> dict[str, tuple[str, Check]]:
    """Ids with letters, by a name: a pattern, and the check that tells which places in a match are ids."""
    chosen = {f"id of {one.country} {place}": one for place, one in enumerate(LETTERED)}
    return {
        name: (one.pattern, _letters(one)) for name, one in chosen.items() if not countries or one.country in countries
    }


@dataclass(frozen=True)
class Layouts:
    """Which ids a layout may be, each with the words that it needs; and a pattern of all, and of those without."""

    ids: Mapping[str, list[tuple[Valid, Any]]]
    all: re.Pattern[str]
    alone: re.Pattern[str]


def _layouts(ids: list[Numeric]) -> Layouts:
    found: dict[str, list[tuple[Valid, Any]]] = {}
    for one in ids:
        words = words_of((*one.words, *ANY_COUNTRY)) if one.beside else None
        told = (*((layout, None) for layout in one.alone), *((layout, words) for layout in one.beside))
        for layout, needed in told:
            others = found.setdefault(layout, [])
            if (one.valid, needed) not in others:
                others.append((one.valid, needed))
    alone = {layout for one in ids for layout in one.alone}
    return Layouts(found, _pattern(found), _pattern(alone, apart=True))


def _pattern(layouts: Iterable[str], *, apart: bool = False) -> re.Pattern[str]:
    """Where one of these layouts may stand in a run of digits; nowhere when there are none.

    `apart`: those that spaces divide are no part of a longer row of groups.
    """
    kinds: tuple[list[list[str]], list[list[str]]] = ([], [])
    for layout in layouts:
        kinds[apart and " " in layout].append(_PIECES.findall(layout))
    whole, row = (_either(kind, r"(?![-./+][0-9])") for kind in kinds)
    return re.compile(rf"(?<![0-9])(?<![0-9][-./+])(?:{whole}|(?<![0-9] ){row}(?! [0-9]))")


def _either(layouts: list[list[str]], end: str) -> str:
    """A pattern of any of these layouts; what several begin with is looked at once."""
    by_piece: dict[str, list[list[str]]] = {}
    for piece, *rest in filter(None, layouts):
        by_piece.setdefault(piece, []).append(rest)
    ways = [_written(piece) + _either(rest, end) for piece, rest in by_piece.items()]
    return f"(?:{'|'.join([*ways, end] if [] in layouts else ways) or '(?!)'})"


def _written(piece: str) -> str:
    return f"[0-9]{{{len(piece)}}}(?![0-9])" if piece[0] == "9" else re.escape(piece)


def _numbers(ids: list[Numeric]) -> Check:
    """The check of a run of digits: every few groups of it by their layout."""
    layouts = _layouts(ids)

    def check(text: str, start: int, end: int) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        place, near = start, start + REACH
        while (met := search(layouts.all if place < near else layouts.alone, text, place, end)) is not None:
            last = _longest(text, first_groups(text, met.start(), end), layouts, beside=met.start() < near)
            if last:
                found.append((met.start(), last))
            place = last or met.start() + 1
        return found

    return check


def _longest(text: str, groups: list[Group], layouts: Layouts, *, beside: bool) -> int:
    """Where the id ends that the most of these groups are; 0 for none. `beside`: a word may stand before it."""
    start = groups[0].start()
    shape = text[start : groups[-1].end()].translate(SHAPE)
    for count in range(len(groups), 0, -1):
        end = groups[count - 1].end()
        known = layouts.ids.get(shape[: end - start])
        if known is not None and _stands_apart(text, start, end):
            digits = "".join(group[0] for group in groups[:count])
            told = (one for one in known if beside or one[1] is None)
            if any(_counts(text, start, end, words) for valid, words in told if valid(digits)):
                return end
    return 0


def _counts(text: str, start: int, end: int, words: Any) -> bool:
    return _is_alone(text, start, end) if words is None else is_beside(text, start, words)


def _letters(one: Lettered) -> Check:
    words = words_of((*one.words, *ANY_COUNTRY)) if one.words else None
    before = re2.compile(f"{one.before}$", options())

    def check(text: str, start: int, end: int) -> list[tuple[int, int]]:
        if one.before:
            led = before.search(text[max(start - MOST_BEFORE, 0) : start])
            if led is None:
                return []
            start -= len(led.group())
        said = text[start:end]
        number = said.upper() if one.country is Country.FI else said.upper().translate(SEPARATORS)
        if not (said.isascii() and _stands_apart(text, start, end) and one.valid(number)):
            return []
        return [(start, end)] if words is None or is_beside(text, start, words) else []

    return check


def _stands_apart(text: str, start: int, end: int) -> bool:
    """Whether no letter, and no sign that ties it to more digits, stands on either side."""
    before, after = text[max(start - 2, 0) : start], text[end : end + 2]
    tied = (before[1:] in "-./+" and before[:1].isdigit()) or (after[:1] in "-./+" and after[1:].isdigit())
    return not tied and starts_word(text, start) and ends_word(text, end)


def _is_alone(text: str, start: int, end: int) -> bool:
    """Whether an id that spaces divide is not a part of a longer row of groups."""
    if " " not in text[start:end]:
        return True
    before, after = text[max(start - 2, 0) : start], text[end : end + 2]
    return not (before[1:] == " " and before[0].isdigit()) and not (after[:1] == " " and after[1:].isdigit())
