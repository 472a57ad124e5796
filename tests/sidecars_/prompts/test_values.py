from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.contract import Variable, VariableType
from llmops_sidecars.prompts.values import Value, ValueProblem, default_of, text_of

DIGIT = Variable("n", VariableType.INTEGER, minimum=0, maximum=9)
SHARE = Variable("n", VariableType.NUMBER, minimum=-0.5, maximum=1.25)
TONE = Variable("n", VariableType.ENUM, values=("kind", "brief"))
FEW = Variable("n", VariableType.LIST, max_length=3, max_items=2)
BULLETS = Variable("n", VariableType.LIST, separator="\n- ")

TAKEN: dict[str, tuple[Variable, Value, str]] = {
    "the least": (DIGIT, 0, "0"),
    "the most": (DIGIT, 9, "9"),
    "the least fraction": (SHARE, -0.5, "-0.5"),
    "a whole number as a number": (SHARE, 1, "1"),
    "a value of an enum": (TONE, "brief", "brief"),
    "a list": (FEW, ["a", "b"], "a, b"),
    "a list as it is decoded": (FEW, ("a", "b"), "a, b"),
    "no items": (FEW, [], ""),
    "a list with its own separator": (BULLETS, ["a", "b", "c"], "a\n- b\n- c"),
    "items with separators in them": (BULLETS, ["a\n- b"], "a\n- b"),
}

REFUSED: dict[str, tuple[Variable, Value, str]] = {
    "below": (DIGIT, -1, "must be at least 0"),
    "above": (DIGIT, 10, "must be at most 9"),
    "a fraction below": (SHARE, -0.51, "must be at least -0.5"),
    "a fraction above": (SHARE, 1.26, "must be at most 1.25"),
    "beyond all numbers": (SHARE, 1e400, "must be at most 1.25"),
    "no value of an enum": (TONE, "Kind", "must be one of kind, brief"),
    "a long value of an enum": (
        Variable("n", VariableType.ENUM, values=("kind",), max_length=3),
        "kind",
        "longer than 3 characters",
    ),
    "a number for an enum": (TONE, 1, "must be of type enum"),
    "a text for a list": (FEW, "ab", "must be of type list of texts"),
    "numbers in a list": (FEW, (1,), "must be of type list of texts"),  # type: ignore[dict-item]  # on purpose
    "a list for a text": (Variable("n"), ["a"], "must be of type string"),
    "too many items": (FEW, ["a", "b", "c"], "more than 2 items"),
    "a long item": (FEW, ["abc", "abcd"], "item 2 is longer than 3 characters"),
    "a long number": (Variable("n", VariableType.INTEGER, max_length=2), 100, "longer than 2 characters"),
}


@pytest.mark.parametrize(("variable", "value", "text"), TAKEN.values(), ids=TAKEN)
def test_a_value_that_fits_is_a_text(variable: Variable, value: Value, text: str) -> None:
    assert text_of(variable, value) == text


@pytest.mark.parametrize(("variable", "value", "words"), REFUSED.values(), ids=REFUSED)
def test_a_value_that_does_not_fit_is_told_the_bound(variable: Variable, value: Value, words: str) -> None:
    with pytest.raises(ValueProblem) as refused:
        text_of(variable, value)
    assert str(refused.value) == words


@given(st.lists(st.text(max_size=5), max_size=5))
def test_a_list_within_bounds_is_its_items_joined(items: list[str]) -> None:
    fits = len(items) <= 2 and all(len(item) <= 3 for item in items)
    if fits:
        assert text_of(FEW, items) == ", ".join(items)
    else:
        with pytest.raises(ValueProblem):
            text_of(FEW, items)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        (Variable("n"), ""),
        (Variable("n", default="x"), "x"),
        (Variable("n", VariableType.INTEGER, default="5"), "5"),
        (Variable("n", VariableType.LIST), ""),
        (Variable("n", VariableType.LIST, default_items=("a", "b"), separator="; "), "a; b"),
    ],
)
def test_what_stands_in_for_a_value_that_is_not_given(variable: Variable, text: str) -> None:
    assert default_of(variable) == text
