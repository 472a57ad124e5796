from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.contract import Message, Template, Variable, VariableType
from llmops_sidecars.openai.errors import ApiError
from llmops_sidecars.prompts.render import render

NUMBERS = {
    "text": (VariableType.STRING, "hi", "hi"),
    "empty text": (VariableType.STRING, "", ""),
    "integer": (VariableType.INTEGER, 7, "7"),
    "number": (VariableType.NUMBER, 0.25, "0.25"),
    "large number": (VariableType.NUMBER, 1e21, "1e21"),
    "whole number": (VariableType.NUMBER, 3, "3"),
    "true": (VariableType.BOOLEAN, True, "true"),
    "false": (VariableType.BOOLEAN, False, "false"),
}

WRONG_TYPES = [
    (VariableType.STRING, 1),
    (VariableType.STRING, True),
    (VariableType.INTEGER, "1"),
    (VariableType.INTEGER, 1.0),
    (VariableType.INTEGER, True),
    (VariableType.NUMBER, "1"),
    (VariableType.NUMBER, False),
    (VariableType.BOOLEAN, 1),
    (VariableType.BOOLEAN, "true"),
]


def template(content: str, *variables: Variable) -> Template:
    return Template("t", "1", (Message("user", content),), variables)


def rendered(content: str, values: dict[str, str | float], *variables: Variable) -> str:
    """The one message's content."""
    (message,) = render(template(content, *variables), values)
    return message.content


def refusal(content: str, values: dict[str, str | float], *variables: Variable) -> ApiError:
    with pytest.raises(ApiError) as raised:
        rendered(content, values, *variables)
    assert raised.value.status == 400
    return raised.value


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{{ name }}", "Bo"),
        ("{{name}}", "Bo"),
        ("Hi {{ name }}, {{ name }}!", "Hi Bo, Bo!"),
        ("{{  name\t}}", "Bo"),
        ("{ name } {{ name }", "{ name } {{ name }"),
        ("{{{ name }}}", "{Bo}"),
        ('{"a": {{ name }}}', '{"a": Bo}'),
        ("{{ name | upper }}", "{{ name | upper }}"),
        ("{{ name.x }} {{ name() }}", "{{ name.x }} {{ name() }}"),
        ("{% if name %}", "{% if name %}"),
        ("{{ other }}", "{{ other }}"),
    ],
)
def test_slots_are_filled_and_nothing_else_is_a_language(content: str, expected: str) -> None:
    assert rendered(content, {"name": "Bo"}, Variable("name")) == expected


@pytest.mark.parametrize(("kind", "value", "expected"), NUMBERS.values(), ids=NUMBERS)
def test_values_stand_as_in_json(kind: VariableType, value: str | float, expected: str) -> None:
    assert rendered("<{{ x }}>", {"x": value}, Variable("x", kind)) == f"<{expected}>"


@given(st.text(), st.text())
def test_a_value_is_never_read_as_a_template(first: str, second: str) -> None:
    values: dict[str, str | float] = {"a": first + "{{ b }}", "b": second + "{{ a }}"}
    assert (
        rendered("{{ a }}|{{ b }}", values, Variable("a"), Variable("b")) == f"{first}{{{{ b }}}}|{second}{{{{ a }}}}"
    )


@pytest.mark.parametrize(
    ("content", "values", "spans"),
    [
        ("no slot", {}, []),
        ("{{ a }}", {"a": "xyz"}, [(0, 3)]),
        ("ab{{ a }}c{{ b }}{{ a }}!", {"a": "xy", "b": ""}, [(2, 4), (5, 5), (5, 7)]),
        ("{{ c }}{{ a }}", {"a": "{{ b }}"}, [(7, 14)]),
    ],
)
def test_who_neutralises_is_told_where_values_stand(
    content: str, values: dict[str, str | float], spans: list[tuple[int, int]]
) -> None:
    told: list[tuple[str, list[tuple[int, int]]]] = []

    def neutralise(text: str, places: Sequence[tuple[int, int]]) -> str:
        told.append((text, list(places)))
        return "neutral"

    (message,) = render(template(content, Variable("a"), Variable("b")), values, neutralise)
    assert message.content == "neutral"
    assert told == [(rendered(content, values, Variable("a"), Variable("b")), spans)]


def test_roles_and_order_stay() -> None:
    whole = Template("t", "1", (Message("system", "S {{ x }}"), Message("user", "U")), (Variable("x"),))
    assert render(whole, {"x": "1"}) == (Message("system", "S 1"), Message("user", "U"))


def test_a_default_stands_in_for_a_missing_value_and_without_one_nothing() -> None:
    assert rendered("{{ a }}/{{ b }}", {}, Variable("a", VariableType.INTEGER, default="5"), Variable("b")) == "5/"


@pytest.mark.parametrize(("kind", "value"), WRONG_TYPES)
def test_a_value_of_another_type_is_refused_by_name(kind: VariableType, value: str | float) -> None:
    error = refusal("{{ x }}", {"x": value}, Variable("x", kind))
    assert error.code == "invalid_variable"
    assert error.body.param == "prompt.variables.x"
    assert error.body.message == f"prompt 't', variable 'x': must be of type {kind.value}."


def test_a_missing_variable_is_refused_by_name() -> None:
    error = refusal("{{ x }}", {}, Variable("x", required=True))
    assert (error.code, error.body.param) == ("missing_variable", "prompt.variables.x")
    assert error.body.message == "prompt 't', variable 'x': this variable is required."


def test_a_surplus_variable_is_refused_by_name_with_the_ones_there_are() -> None:
    error = refusal("{{ x }}", {"x": "1", "y": "2"}, Variable("x"), Variable("w"))
    assert (error.code, error.body.param) == ("unknown_variable", "prompt.variables.y")
    assert error.body.message == "prompt 't', variable 'y': the template has no such variable; it has w, x."


def test_a_surplus_variable_whose_name_is_a_text_is_not_repeated() -> None:
    assert "secret" not in refusal("x", {"my secret is 42": "1"}).body.message


@pytest.mark.parametrize("length", [10, 11])
def test_a_value_may_be_as_long_as_its_variable_says(length: int) -> None:
    variable = Variable("x", max_length=10)
    if length > 10:
        assert "longer than 10 characters" in refusal("{{ x }}", {"x": "é" * length}, variable).body.message
    else:
        assert rendered("{{ x }}", {"x": "é" * length}, variable) == "é" * length


def test_a_prompt_that_grows_out_of_bounds_is_refused_before_it_is_made() -> None:
    error = refusal("{{ x }}" * 6000, {"x": "a" * 1_000_000}, Variable("x", max_length=1_000_000))
    assert "longer than 1000000 characters" in error.body.message
