"""The sets of the rules beside injection and personal data, and how cases become figures."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from bench.harm.__main__ import FAMILY, TUNING
from bench.judgement import harm, language, leak, lists, topics, unicode, urls
from bench.judgement.__main__ import PARTS, joined
from bench.judgement.cases import BUCKETS, TEXTS, Case, bucket, judged
from bench.judgement.rule_tables import RULES, tables
from llmops_sidecars.contract import HarmCategory
from tools.injection.builtin import BUILTIN
from tools.injection.grammar import read
from tools.injection.texts import FAMILY as INJECTION

SETS: dict[str, Callable[[], list[Case]]] = {
    "harm": harm.cases,
    "topics": topics.cases,
    "language": language.cases,
    "unicode": unicode.cases,
    "urls": urls.cases,
    "leak": leak.cases,
    "lists": lists.cases,
}


@pytest.mark.parametrize("cases", SETS.values(), ids=SETS)
def test_a_set_is_the_same_on_every_run_and_large_enough(cases: Callable[[], list[Case]]) -> None:
    made = cases()
    assert made == cases()
    assert len(made) > 100


def test_no_text_is_one_that_a_rule_was_made_with() -> None:
    templates = {one.source for one in read(TEXTS / "harm", BUILTIN)}
    assert len(templates) > 200
    known = [FAMILY, TUNING, *(TEXTS.parents[2] / "tests" / "data").glob("*.txt")]
    made_with = {line.split("\t")[-1] for path in known for line in path.read_text(encoding="utf-8").splitlines()}
    said = {one.source for one in read(TEXTS / "language", BUILTIN)} | {one.source for one in read(INJECTION, BUILTIN)}
    assert not templates & (made_with | said)
    assert not {one.source for one in read(TEXTS / "language", BUILTIN)} & made_with


def test_all_kinds_of_harm_and_both_wordings_are_there() -> None:
    wanted = [case for case in harm.cases() if case.wanted and "category" in case.groups]
    assert {case.groups["category"] for case in wanted} == {one.value for one in HarmCategory}
    assert {case.groups["wording"] for case in wanted} == {"plain", "roundabout"}
    assert {case.groups["length"] for case in harm.cases()} <= set(BUCKETS)


def test_what_is_repeated_is_a_part_of_the_instructions() -> None:
    cases = [case for case in leak.cases() if case.groups.get("way") == "word for word"]
    assert cases
    for case in cases:
        instructions, answer = case.text.split(leak.APART)
        assert any(answer[start : start + 14] in instructions for start in range(len(answer) - 14))


def test_cases_of_one_unit_count_as_one() -> None:
    cases = [Case(str(number), True, {"by": "a"}, "one") for number in range(10)]
    cases += [Case("x", True, {"by": "b"}), Case("y", True), Case("z", False, {"length": BUCKETS[0]})]
    figures = judged(cases, lambda case: case.text in {"0", "1", "2", "3", "4", "x"})
    assert (figures["found"]["all"]["rate"], figures["found"]["all"]["of"]) == (0.5, 3)
    assert (figures["found"]["by by"]["a"]["rate"], figures["found"]["by by"]["b"]["rate"]) == (0.5, 1.0)
    assert (figures["false alarms"]["all"]["rate"], list(figures["false alarms"]["by length"])) == (0.0, [BUCKETS[0]])


def test_lengths_are_told_in_buckets() -> None:
    assert [bucket("x" * size) for size in (149, 150, 9999, 10000)] == [BUCKETS[0], BUCKETS[1], BUCKETS[3], BUCKETS[4]]


def test_parts_that_are_measured_alone_keep_the_others_with_their_dates() -> None:
    former: dict[str, Any] = {"pii": 1, "harm": 2, "measured": {"pii": "2030-01-01", "harm": "2030-01-01"}}
    assert joined(former, {"harm": 3}, date(2030, 2, 2)) == {
        "pii": 1,
        "harm": 3,
        "measured": {"pii": "2030-01-01", "harm": "2030-02-02"},
    }


def test_every_part_has_its_tables() -> None:
    assert {steps[0] for steps, _, _ in RULES.values()} == set(PARTS) - {"speed", "pii", "injection"}
    one = judged([Case("a", True, {"way": "w"}), Case("b", False)], lambda case: case.wanted)
    figures: dict[str, Any] = dict.fromkeys(PARTS, one) | {
        "topics": dict.fromkeys(("denied", "allowed"), one),
        "urls": dict.fromkeys(("kinds and denied domains", "allowed domains"), one),
        "lists": dict.fromkeys(("phrases", "patterns"), one),
    }
    text = "\n".join(tables(figures))
    assert "| unicode | 100.0 (20.6 to 100.0) | 1 | 0.0 (0.0 to 79.3) | 1 | texts |" in text
    assert "| w | 100.0 (20.6 to 100.0) | 1 |" in text
