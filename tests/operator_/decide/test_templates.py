from __future__ import annotations

from typing import Any

import pytest

from llmops_operator.api import PromptTemplateSpec
from llmops_operator.decide.templates import template_problem


def spec(content: str, *variables: str, **more: Any) -> PromptTemplateSpec:
    messages = [{"role": "user", "content": content}]
    return PromptTemplateSpec.model_validate(
        {"messages": messages, "variables": [{"name": one} for one in variables], **more}
    )


@pytest.mark.parametrize(
    ("content", "variables"),
    [("hello", ()), ("{{ a }}{{a}}", ("a",)), ("{{ a }} {{ b }}", ("b", "a")), ("{ a } {{ a | upper }} {{ 1 }}", ())],
    ids=["no slots", "one slot twice", "two slots", "what only looks like a slot"],
)
def test_a_template_whose_slots_are_its_variables_is_well(content: str, variables: tuple[str, ...]) -> None:
    assert template_problem(spec(content, *variables)) is None


def test_a_slot_that_nothing_fills_is_told_with_its_place() -> None:
    problem = template_problem(spec("{{ a }} {{ b }}", "a"))
    assert problem == "spec.messages[0]: {{ b }} has no entry in spec.variables; add one or correct it"


def test_a_variable_that_stands_nowhere_is_told() -> None:
    problem = template_problem(spec("{{ a }}", "a", "b"))
    assert problem == "spec.variables: b stands in no message; put {{ b }} somewhere or take it out"
