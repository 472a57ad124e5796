from __future__ import annotations

import re

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.contract import Action, Pattern, PatternsRule
from llmops_sidecars.guard.rules import patterns
from llmops_sidecars.guard.rules.normal import normal
from llmops_sidecars.guard.rules.scan import PatternSet, Text, ends_word, once, plain, starts_word


def test_places_are_in_characters_whatever_stands_before() -> None:
    text = "🙂é漢 foo 🙂 bar foo"
    places = [(name, text[start:end]) for name, start, end in PatternSet({"f": "foo", "b": "b.r"}).places(text)]
    assert places == [("f", "foo"), ("f", "foo"), ("b", "bar")]


@given(st.text(), st.text())
def test_places_are_right_for_any_text(before: str, after: str) -> None:
    found = list(PatternSet({"x": "needle"}).places(before + "needle" + after))
    assert ("x", len(before), len(before) + 6) in found


def test_an_empty_match_is_no_place() -> None:
    assert list(PatternSet({"e": "x*"}).places("yyy")) == []


@pytest.mark.parametrize("size", [100, 200], ids=["a set", "too large for a set"])
def test_patterns_are_found_whatever_their_size_together(size: int) -> None:
    large = {str(index): rf"needle{index}[^a]{{0,{size}}}[^b]{{0,{size}}}end" for index in range(60)}
    assert [name for name, _, _ in PatternSet(large).places("xx needle7 ... end")] == ["7"]


def test_a_set_that_fails_reports_nothing_so_all_patterns_are_searched() -> None:
    """RE2 gives no match when a set runs out of memory: that must not read as harmless."""
    patterns = PatternSet({"a": "needle", "b": "other"})
    failing = re2.Set.SearchSet()
    failing.Add("never")
    failing.Compile()
    patterns._sets = [(failing, [0, 1])]
    assert list(patterns.places("a needle")) == [("a", 2, 8)]


def test_patterns_with_a_set_of_their_own_are_found_too() -> None:
    patterns = PatternSet({"a": "needle", "b": "other", "c": "third"}, apart=["b"])
    assert sorted(patterns.places("third, other, needle")) == [("a", 14, 20), ("b", 7, 12), ("c", 0, 5)]
    assert [name for name, *_ in patterns.places("other")] == ["b"]
    assert list(patterns.places("nothing")) == []


def test_a_pattern_that_re2_refuses_is_an_error() -> None:
    with pytest.raises(re2.error):
        PatternSet({"back": r"(a)\1"})


def test_an_authors_pattern_is_named() -> None:
    rule = PatternsRule(
        (Pattern("project", r"(?i)project\s+x"), Pattern("zebra", "zebra", Action.MASK), Pattern("none", "nothing"))
    )
    findings = sorted(patterns.make(rule).find("A zebra in Project  X"))
    assert [(one.rule, one.kind, one.label, one.action) for one in findings] == [
        ("patterns", "zebra", "[PATTERN:zebra]", Action.MASK),
        ("patterns", "project", "[PATTERN:project]", Action.BLOCK),
    ]


@pytest.mark.parametrize(
    ("text", "place", "starts", "ends"),
    [
        ("a b", 2, True, False),
        ("ab", 1, False, False),
        ("a_b", 2, False, False),
        (r"\nb", 2, True, False),
        ("nb", 1, False, False),
        ("b", 1, False, True),
        ("b.", 1, False, True),
    ],
)
def test_words_begin_and_end(text: str, place: int, *, starts: bool, ends: bool) -> None:
    assert starts_word(text, place) is starts
    assert ends_word(text, place) is ends


@given(st.text())
def test_the_plain_form_keeps_every_place(text: str) -> None:
    assert len(plain(text)) == len(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a\u00a0b\u2009c", "a b c"),
        ("1\u20112\u20133\u22124", "1-2-3-4"),
        ("\uff11\uff20", "1@"),
        ("\U0001d41a", "a"),
        ("é", "é"),
        ("ﬁ", "ﬁ"),
    ],
    ids=["ascii", "spaces", "dashes", "full width", "styled", "accent", "two letters stay"],
)
def test_compatible_characters_become_plain(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_what_is_made_of_a_text_is_made_once() -> None:
    made: list[str] = []

    def make(text: str) -> int:
        made.append(text)
        return len(text)

    text = Text("abc")
    assert [once(text, make), once(text, make), once(Text("abc"), make), once("abc", make)] == [3, 3, 3, 3]
    assert len(made) == 3
    assert (text, text[1:], hash(text)) == ("abc", "bc", hash("abc"))


@given(st.text(alphabet="aB \t\n\x1f\u00a0\u2028\u3000\u0130\u00c9.,", max_size=30))
def test_the_normal_form_leads_back_character_by_character(text: str) -> None:
    form = normal(text)
    assert "  " not in form.text
    assert form.text == re.sub(" +", " ", "".join(" " if one.isspace() else small(one) for one in text))
    for index, character in enumerate(form.text):
        there = text[form.place(index)]
        assert character == (" " if there.isspace() else small(there))


@pytest.mark.parametrize("text", ["ΟΔΟΣ ΣΟΦΙΑΣ", "ΣΑΣ\u0130Σ\u00a0A", "\u0130\tI", "Straße\x1fÄ"])
def test_the_normal_form_has_the_small_letters_of_the_text(text: str) -> None:
    lower = text.lower() if "\u0130" not in text else "".join(map(small, text))
    assert normal(text).text == "".join(" " if one.isspace() else one for one in lower)


def small(character: str) -> str:
    return character.lower() if len(character.lower()) == 1 else character
