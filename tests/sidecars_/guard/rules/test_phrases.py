from __future__ import annotations

import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.contract import MOST_PHRASES, Action, PhrasesRule, phrases_of
from llmops_sidecars.guard.policy import Rules
from llmops_sidecars.guard.rules import phrases
from llmops_sidecars.guard.rules.phrases import normalised
from llmops_sidecars.guard.verdict import examine

LIST = (
    "Project Blue Sky",
    "zebra",
    "北京大学",
    "naïve",
    "C++",
    "قطة",
    "Straße",
    "किताब",
    "self-harm",
    "привет мир",
    "ﬁnal",
)


def found(text: str, *, whole_words: bool = True, listed: tuple[str, ...] = LIST) -> list[str]:
    """What stands where the rule finds something, in all forms of the text."""
    check = phrases.make(PhrasesRule(phrases=listed, whole_words=whole_words))
    return [text[one.start : one.end] for one in examine(text, Rules((check,))).places]


FOUND = {
    "as it is": ("The Project Blue Sky is on", ["Project Blue Sky"]),
    "in any case": ("pROJECT bLUE sKY and ZEBRA", ["pROJECT bLUE sKY", "ZEBRA"]),
    "over a line's end": ("project\nblue\n  sky", ["project\nblue\n  sky"]),
    "with wide spaces": ("project \t blue\u00a0\u2003sky.", ["project \t blue\u00a0\u2003sky"]),
    "after many spaces": ("a  b   c    zebra  d", ["zebra"]),
    "beside signs": ('("zebra")', ["zebra"]),
    "in Chinese": ("我在北京大学读书", ["北京大学"]),
    "beside Chinese": ("看zebra吧", ["zebra"]),
    "in Arabic": ("هذه قطة جميلة", ["قطة"]),
    "in Cyrillic": ("Привет  Мир!", ["Привет  Мир"]),
    "in Hindi": ("यह किताब है", ["किताब"]),
    "with marks": ("so naïve", ["naïve"]),
    "with marks apart": ("so " + unicodedata.normalize("NFD", "naïve"), [unicodedata.normalize("NFD", "naïve")]),
    "with a letter of its own": ("in der STRAẞE", ["STRAẞE"]),
    "with a ligature": ("the final word, the ﬁnal one", ["final", "ﬁnal"]),
    "with signs": ("in C++, or c++", ["C++", "c++"]),
    "full width": ("a ｚｅｂｒａ", ["ｚｅｂｒａ"]),
    "with invisible characters": ("ze\u200bb\u00adra", ["ze\u200bb\u00adra"]),
    "with look-alikes": ("a z\u0435bra", ["z\u0435bra"]),
    "in base64": ("read cHJvamVjdCBibHVlIHNreQ== now", ["cHJvamVjdCBibHVlIHNreQ=="]),
    "twice": ("zebra zebra", ["zebra", "zebra"]),
}
NOT_FOUND = [
    "zebras",
    "a zebracorn",
    "my_zebra",
    "project blue",
    "projectblue sky",
    "किताबें",
    "قطةة",
    "naïvely",
    "selfharm",
]


@pytest.mark.parametrize(("text", "expected"), FOUND.values(), ids=FOUND)
def test_a_phrase_is_found_where_it_stands(text: str, expected: list[str]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize("text", NOT_FOUND)
def test_a_part_of_a_longer_word_is_none(text: str) -> None:
    assert found(text) == []


def test_parts_of_words_count_by_choice() -> None:
    assert found("zebras and my_zebra", whole_words=False) == ["zebra", "zebra"]


def test_phrases_in_each_other_are_all_seen() -> None:
    assert found("new york city", listed=("york", "new york city hall", "city")) == ["york", "city"]


def test_a_finding_has_the_authors_name() -> None:
    rule = PhrasesRule(name="competitors", phrases=("zebra",), action=Action.MASK)
    (one,) = phrases.make(rule).find("a zebra")
    assert (one.rule, one.kind, one.label, one.action) == (
        "phrases",
        "competitors",
        "[PHRASE:competitors]",
        Action.MASK,
    )
    (one,) = phrases.make(PhrasesRule(phrases=("zebra",))).find("a zebra")
    assert (one.kind, one.label) == ("phrases", "[PHRASE]")


@given(st.text(alphabet=st.sampled_from("ab \n\t\u00a0Zé漢ß")))
def test_every_place_is_mapped_back(text: str) -> None:
    normal = normalised(text)
    assert "  " not in normal.text
    places = [normal.place(index) for index in range(len(normal.text))]
    assert places == sorted(set(places))
    for index, place in enumerate(places):
        assert normalised(text[place]).text == normal.text[index]
    left_out = set(range(len(text))) - set(places)
    assert all(text[place].isspace() for place in left_out)


@given(st.text(alphabet="zebra proj ctluskyé", max_size=60), st.booleans())
def test_the_beginning_of_a_phrase_is_a_tail(before: str, whole: bool) -> None:  # noqa: FBT001 - drawn
    check = phrases.make(PhrasesRule(phrases=LIST, whole_words=whole))
    assert check.tail is not None
    for phrase in LIST[:-1]:
        for end in range(1, len(phrase) + 1):
            text = f"{before} {phrase[:end].capitalize()}"
            assert check.tail(text) <= len(before) + 1


@pytest.mark.parametrize("text", ["nothing at all", "a project of ours", "zebras"])
def test_other_words_are_none(text: str) -> None:
    tail = phrases.make(PhrasesRule(phrases=LIST)).tail
    assert tail is not None
    assert tail(text) == len(text)


def test_a_list_stands_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("# animals\nzebra\n\n  project blue sky  \r\n#tag\n", encoding="utf-8")
    find = phrases.make(PhrasesRule(file=str(file))).find
    assert [(one.start, one.end) for one in find("a zebra, #tag")] == [(2, 7), (9, 13)]


REFUSED = {
    "no file": (
        PhrasesRule(name="animals", file="/nowhere/list.txt"),
        "phrases 'animals': the list cannot be read: No such",
    ),
    "nothing": (PhrasesRule(), "phrases 'phrases': a phrase needs at least one character"),
    "blank": (PhrasesRule(phrases=("a", " \n ")), "a phrase needs at least one character"),
}


@pytest.mark.parametrize(("rule", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_named(rule: PhrasesRule, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        phrases.make(rule)


BAD_LISTS = {
    "empty": ("", "the list has no phrase"),
    "comments": ("# a\n#\n\n", "the list has no phrase"),
    "long line": ("a\n" + "x" * 201, "line 2 has 201 characters, more than 200"),
    "many": ("a\n" * (MOST_PHRASES + 1), "the list has 50001 phrases, more than 50000"),
    "large": ("é" * 300_000, "the list has 600000 bytes, more than 524288"),
}


@pytest.mark.parametrize(("text", "message"), BAD_LISTS.values(), ids=BAD_LISTS)
def test_a_bad_list_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        phrases_of(text)


def test_ten_thousand_phrases_are_looked_for_at_once() -> None:
    listed = tuple(f"word{number} and word{number + 1}" for number in range(10_000))
    check = phrases.make(PhrasesRule(phrases=listed))
    text = "word77 and something else " * 4000 + "word5000 and word5001"
    started = time.process_time()
    assert [text[one.start : one.end] for one in check.find(text)] == ["word5000 and word5001"]
    assert time.process_time() - started < 0.5
