from __future__ import annotations

from bench.judgement.injection_set import FAMILY, Set
from bench.judgement.pii import Tally
from bench.judgement.pii_set import Marked, texts
from tools.injection.builtin import BUILTIN
from tools.injection.grammar import read
from tools.injection.texts import FAMILY as TUNING


def test_both_sets_are_the_same_on_every_run() -> None:
    assert texts() == texts()
    assert Set().cases() == Set().cases()


def test_what_is_judged_by_shares_no_template_with_what_was_tuned_on() -> None:
    judged, tuned = ({one.source for one in read(directory, BUILTIN)} for directory in (FAMILY, TUNING))
    assert len(judged) > 500
    assert not judged & tuned


def test_every_form_and_language_of_attacks_has_texts_enough() -> None:
    cases = [one for one in Set().cases() if one.attack]
    for form in ("raw", "wrapped"):
        for language in {one.language for one in cases}:
            assert len([one for one in cases if (one.form, one.language) == (form, language)]) >= 30


def test_marks_are_where_the_data_is() -> None:
    emails = [one for one in texts() if one.places and one.places[0][0] == "Email"]
    assert len(emails) > 100
    for one in emails:
        ((_, start, end),) = one.places
        assert "@" in one.text[start:end]
        assert one.text[start:end].strip() == one.text[start:end]


def test_half_a_place_counts_and_less_does_not() -> None:
    text = Marked("0123456789", (("Phone", 2, 8),))
    half, less = Tally(), Tally()
    half.take(text, [("IBAN", 0, 5)])
    less.take(text, [("Phone", 0, 4)])
    assert (half.figures()["recall"]["rate"], less.figures()["recall"]["rate"]) == (1.0, 0.0)
    assert (half.false, less.false) == (0, 0)


def test_findings_on_harmless_texts_are_false_but_for_those_forgiven() -> None:
    tally = Tally()
    tally.take(Marked("0123456789", ()), [("Phone", 0, 4), ("DateOfBirth", 5, 9)], forgiven=frozenset({"DateOfBirth"}))
    tally.take(Marked("0123456789", ()), [("DateOfBirth", 5, 9)], forgiven=frozenset({"DateOfBirth"}))
    assert (tally.false, tally.alarmed) == (1, [True, False])
