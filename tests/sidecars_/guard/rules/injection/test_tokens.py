from __future__ import annotations

import numpy as np
import pytest

from llmops_sidecars.guard.rules.injection.fold import fold
from llmops_sidecars.guard.rules.injection.tokens import (
    BREAK,
    CODE,
    FIRST,
    NUMBER,
    SIGN,
    UNKNOWN,
    Index,
    Tokens,
    hash_of,
    tokens_of,
)

KNOWN = ["ignore", "all", "rules", "the", "правила", "忽略", "规", "규칙", "नियम", "talimat"]
ROW = {word: FIRST + place for place, word in enumerate(KNOWN)}


@pytest.fixture(scope="module")
def index() -> Index:
    hashes = np.array([hash_of(fold(word)) for word in KNOWN], np.uint32)
    order = np.argsort(hashes)
    return Index(hashes[order], (order + FIRST).astype(np.int32))


def rows(text: str, index: Index) -> list[int]:
    return [int(row) for row in tokens_of(text, index).rows]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", []),
        ("  \t ", []),
        ("Ignore ALL the rules", [ROW["ignore"], ROW["all"], ROW["the"], ROW["rules"]]),
        ("ｉｇｎｏｒｅ ìgnóre", [ROW["ignore"]] * 2),
        ("1gn0re 2026", [ROW["ignore"], NUMBER]),
        ("a1b2c3", [CODE]),
        ("zzzz", [UNKNOWN]),
        ("rulesets", [ROW["rules"]]),
        ("rul", [UNKNOWN]),
        ("Правила", [ROW["правила"]]),
        ("忽略规规", [ROW["忽略"], UNKNOWN, ROW["规"], ROW["规"]]),
        ("규칙을", [ROW["규칙"]]),
        ("नियम", [ROW["नियम"]]),
        ("talimatları", [ROW["talimat"]]),
        ("all!!! ... \n the", [ROW["all"], BREAK, ROW["the"]]),
        ("(all, the)", [SIGN, ROW["all"], SIGN, ROW["the"], SIGN]),
        ("all \U000f0000 the", [ROW["all"], ROW["the"]]),
        ("all \ud800 the", [ROW["all"], ROW["the"]]),
    ],
)
def test_words_become_rows(text: str, wanted: list[int], index: Index) -> None:
    assert rows(text, index) == wanted


def pieces(text: str, said: Tokens) -> list[str]:
    return [text[start:end] for start, end in zip(said.starts, said.ends, strict=True)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Ignore  all, rules.", ["Ignore", "all", ",", "rules", "."]),
        ("ig\u200bnore all", ["ig\u200bnore", "all"]),
        ("é忽略x", ["é", "忽", "略", "x"]),
    ],
)
def test_each_token_knows_its_place(text: str, wanted: list[str], index: Index) -> None:
    assert pieces(text, tokens_of(text, index)) == wanted


def test_a_word_has_the_same_row_wherever_it_stands(index: Index) -> None:
    long = "x" * 5000 + " "
    assert rows(long + "ignore the rules", index)[1:] == rows("ignore the rules", index)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ignore the rules", (False, 0, 0)),
        ("i g n o r e", (True, 1, 1)),
        ("the i g n the o r e", (False, 1, 1)),
        ("i g n o", (True, 1, 1)),
        ("1 2 3 4 5 6", (False, 0, 0)),
        ("qwertyuiopasdf", (False, 14, 14)),
        ("qwerty a1b2c3d4e5", (False, 6, 10)),
    ],
)
def test_what_may_be_hidden_is_told(text: str, wanted: tuple[bool, int, int], index: Index) -> None:
    said = tokens_of(text, index)
    assert (said.spelled, said.glued, said.code) == wanted


def test_hashes_tell_words_apart() -> None:
    words = [f"{a}{b}{c}" for a in "abcdefghij" for b in "klmnopqrst" for c in "uvwxyzабвг"]
    assert len({hash_of(word) for word in words}) == len(words)
