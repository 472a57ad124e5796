"""Runs of digits, whose hopeless groups are passed over: nothing is lost by it, and long ones take little."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.contract import PiiRule
from llmops_sidecars.guard.rules import pii
from llmops_sidecars.guard.rules.pii import accounts, phones
from llmops_sidecars.guard.rules.pii.checksums import luhn
from llmops_sidecars.guard.rules.pii.national.rule import NUMERIC, numbers

SIZE = 400_000
SECONDS = 1.5
"""Of processor time; the worst of the rows takes a quarter of it where these tests were written."""

ROWS = [
    *(
        "1 ",
        "0 ",
        "12 ",
        "02 ",
        "1.",
        "1/",
        "(12) ",
        "123 ",
        "1234 ",
        "4123 ",
        "4123-4123-",
        "67890 ",
        "1.1.1.",
        "12.12.",
    ),
    *("+1 +1 +1 ", "12-12-", "1 234 ", "9 99 99 99 ", "999 999 999 ", "1 234 567 8901 ", "12345678901 ", "001 "),
    *("4123 4123 4123 4123 ", "4111 1111 1111 1111 ", "123-45-6789 ", "1 1 1 1 1 1 1 x", "1234567, ", "020 7946 0958 "),
]

LAYOUTS = sorted({layout for one in NUMERIC for layout in (*one.alone, *one.beside)})
SHAPES = [
    *LAYOUTS,
    "9999 9999 9999 9999",
    "9999 9999 9999 9999 999",
    "9999 999999 99999",
    "999 999 9999",
    "9",
    "99",
    "9999",
]
CARDS = ((4, 4, 4, 4, 3), (4, 4, 4, 4), (4, 6, 5), (4, 6, 4), *((size,) for size in range(13, 20)))
"""How cards are printed, the longest of those first that begin alike."""


@st.composite
def runs(draw: st.DrawFn) -> str:
    """Numbers of the shapes that are looked for, and others, one after the other; with zeros and checks that fit."""
    digit = st.sampled_from("00112345679")
    number = st.sampled_from(SHAPES).map(lambda shape: re.sub("9", lambda _: draw(digit), shape))
    known = st.sampled_from(
        ["4111 1111 1111 1111", "123-45-6789", "020 7946 0958", "1.2.2031", "2031-04-05", "00442079460958"]
    )
    pieces = draw(st.lists(st.one_of(number, known), min_size=1, max_size=6))
    return "".join(piece + draw(st.sampled_from([" ", " ", "-", ".", "/", ") ", " ("])) for piece in pieces)[
        :-1
    ].rstrip(" (")


def groups(text: str) -> list[re.Match[str]]:
    return list(re.finditer("[0-9]+", text))


def card_places(text: str) -> Iterator[tuple[int, int]]:
    """Every group and those after it, by every layout."""
    met, end = groups(text), 0
    for index, first in enumerate(met):
        for layout in CARDS if first.start() >= end else ():
            taken = met[index : index + len(layout)]
            digits = "".join(one[0] for one in taken)
            tied = all(after.start() - one.end() == 1 for one, after in pairwise(taken))
            fits = tuple(len(one[0]) for one in taken) == layout and tied and digits[0] in "23456"
            if fits and luhn(digits) and len(set(digits)) > 1:
                end = taken[-1].end()
                if not re.search(r"[0-9]\.$", text[: first.start()]):
                    yield first.start(), end
                break


def id_places(text: str) -> Iterator[tuple[int, int]]:
    """Every group and those after it, by every id that counts without a word."""
    met, end = groups(text), 0
    for index, first in enumerate(met):
        for last in reversed(met[index : index + 7]) if first.start() >= end else ():
            said = text[first.start() : last.end()]
            apart = not re.search(r"[0-9][-./+]$", text[: first.start()]) and not re.match(
                "[-./+][0-9]", text[last.end() :]
            )
            row = re.search("[0-9] $", text[: first.start()]) or re.match(" [0-9]", text[last.end() :])
            shape, digits = re.sub("[0-9]", "9", said), re.sub("[^0-9]", "", said)
            if apart and not (" " in said and row) and any(shape in one.alone and one.valid(digits) for one in NUMERIC):
                end = last.end()
                yield first.start(), end
                break


def may_begin(text: str, place: int) -> bool:
    """Whether a phone number may begin at a group, by the sizes and digits of it and of those after it."""
    met = groups(text[place:])
    said, sizes = met[0][0], tuple(len(one[0]) for one in met[:4])
    if said[0] == "0":
        in_order = said in "01234567890"
        usual = said[:2] != "00" and not in_order and len(said) in {*range(2, 7), *range(9, 13)}
        return usual or (said[:2] == "00" and said[2:3] > "0")
    if sizes == (1, 3, 3, 4):
        return said == "1" and met[1][0][0] > "1" and met[2][0][0] > "1"
    american = sizes[:3] == (3, 3, 4) and said[0] > "1" and met[1][0][0] > "1"
    chinese = (sizes[:3] == (3, 4, 4) or sizes[0] == 11) and said[0] == "1" and said[1] > "2"
    indian = sizes[:2] == (5, 5) and said[0] > "5" and text[place + 5] != "-"
    brackets = text[place - 1 : place] == "(" and text[place + len(said) :][:1] == ")"
    in_brackets = brackets and (sizes[:2] == (3, 7) or sizes[:3] in {(2, 5, 4), (2, 4, 4)})
    count = {3: 3, 5: 2}.get(sizes[0], 1)
    return ((american or chinese or indian) and not _in_row(text, place, met, count)) or in_brackets


def _in_row(text: str, place: int, met: list[re.Match[str]], count: int) -> bool:
    """Whether spaces alone divide them, and those before or after them."""
    end = place + met[count - 1].end()
    row = re.search("[0-9] $", text[:place]) or re.match(" [0-9]", text[end:])
    return bool(row) and re.sub("[0-9]", "", text[place:end]) == " " * (count - 1)


@given(runs())
def test_every_card_is_found_that_a_look_at_all_groups_finds(text: str) -> None:
    assert accounts.cards(text, 0, len(text)) == list(card_places(text))


@given(runs())
def test_every_id_is_found_that_a_look_at_all_groups_finds(text: str) -> None:
    assert numbers(())(text, 0, len(text)) == list(id_places(text))


@given(runs())
def test_no_group_is_passed_over_that_may_begin_a_phone_number(text: str) -> None:
    for one in groups(text):
        assert not may_begin(text, one.start()) or phones.BEGINNING.match(text, one.start())


@pytest.mark.parametrize("row", ROWS)
def test_a_long_run_of_digits_takes_little(row: str) -> None:
    find = pii.make(PiiRule()).find
    text = row * (SIZE // len(row))
    started = time.process_time()
    list(find(text))
    assert time.process_time() - started < SECONDS
