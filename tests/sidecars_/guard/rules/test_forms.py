from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.contract import Action
from llmops_sidecars.guard.rules.finding import Finding
from llmops_sidecars.guard.rules.forms import INVISIBLE, LOOK_ALIKES, MIXED, TAGS, Form, forms
from llmops_sidecars.guard.rules.scan import beyond_ascii, plain, replaced

odd = st.text(
    alphabet=st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from(
            "ab 1\u200b\u00ad\ufe0f\ufb01\ufb03\u2460\uff11\u0430\u0435\u03bf\U000e0061\U0001d41a\u2126\u00bd漢é"
        ),
    ),
    max_size=60,
)


def folded_one_by_one(text: str) -> list[tuple[str, int]]:
    """The folded form by its definition: each character, and where it comes from."""
    mixed = MIXED.search(text) is not None
    found = []
    for place, character in enumerate(text):
        code = ord(character)
        seen = chr(code - 0xE0000) if code in TAGS else "" if code in INVISIBLE else character
        fold = character if character.isascii() else plain(unicodedata.normalize("NFKC", seen))
        fold = fold.translate(LOOK_ALIKES) if mixed and not character.isascii() else fold
        found += [(one, place) for one in fold]
    return found


@given(odd)
def test_the_folded_form_is_what_its_definition_says_and_leads_back(text: str) -> None:
    expected = folded_one_by_one(text)
    wanted = "".join(one for one, _ in expected)
    for form in forms(text):
        if form.piece is not None or form.text != wanted or not wanted:
            continue
        for index, (_, place) in enumerate(expected):
            back = form.back(Finding(index, index + 1, "r", "k", "[K]", Action.MASK))
            assert (back.start, back.end) == (place, place + 1)
        return
    assert wanted in {text, plain(text), ""} or text.isascii()


@given(odd)
def test_the_plain_form_is_made_character_by_character(text: str) -> None:
    assert plain(text) == "".join(map(plain, text))


@given(odd)
def test_characters_beyond_ascii_are_told(text: str) -> None:
    assert beyond_ascii(text) == {character for character in text if not character.isascii()}


@given(st.text("abcdefghijklmnopqrstuvwxyz"), st.integers(0, 26))
def test_many_and_few_characters_are_replaced_alike(text: str, count: int) -> None:
    by = {chr(ord("a") + place): chr(ord("A") + place) for place in range(count)}
    assert replaced(text, by) == "".join(by.get(character, character) for character in text)


def test_a_finding_in_what_several_characters_stand_for_covers_the_one_that_does() -> None:
    (folded,) = [form for form in forms("x\u200by ﬃ z") if form.places is not None]
    assert folded.text == "xy ffi z"
    place = folded.back(Finding(4, 5, "r", "k", "[K]", Action.MASK))
    assert (place.start, place.end) == (4, 5)
    place = folded.back(Finding(0, 2, "r", "k", "[K]", Action.MASK))
    assert (place.start, place.end) == (0, 3)


@pytest.mark.parametrize("text", ["plain words", "é words", "漢字"])
def test_a_text_that_hides_nothing_has_one_form(text: str) -> None:
    assert forms(text) == [Form(text)]
