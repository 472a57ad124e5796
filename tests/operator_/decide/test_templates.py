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


def test_slots_of_examples_are_slots() -> None:
    shown = {"examples": [{"user": "{{ a }}?", "assistant": "{{ b }}!"}]}
    assert template_problem(spec("x", "a", "b", **shown)) is None
    assert (template_problem(spec("x", "a", **shown)) or "").startswith("spec.examples[0].assistant: {{ b }} has no")
    assert (template_problem(spec("x", "b", **shown)) or "").startswith("spec.examples[0].user: {{ a }} has no")


def conversation(arguments: str, answers: str) -> PromptTemplateSpec:
    call = {"id": "c1", "name": "look", "arguments": arguments}
    told = [
        {"role": "assistant", "toolCalls": [call]},
        {"role": "tool", "content": "sunny", "toolCallId": answers},
    ]
    return PromptTemplateSpec.model_validate({"messages": told})


@pytest.mark.parametrize(
    ("arguments", "answers", "problem"),
    [
        ('{"city": "Bonn"}', "c1", None),
        ('{"city": ', "c1", "spec.messages[0].toolCalls c1: arguments must be a JSON object"),
        ("[1]", "c1", "spec.messages[0].toolCalls c1: arguments must be a JSON object"),
        (
            '{"city": "{{ city }}"}',
            "c1",
            "spec.messages[0].toolCalls c1: slots are not filled in arguments; put them into a message",
        ),
        ("{}", "c2", "spec.messages[1].toolCallId: no message before it has a call c2"),
    ],
)
def test_calls_can_be_read_and_answers_have_one(arguments: str, answers: str, problem: str | None) -> None:
    assert template_problem(conversation(arguments, answers)) == problem


def test_a_variable_that_stands_nowhere_is_told() -> None:
    problem = template_problem(spec("{{ a }}", "a", "b"))
    assert problem == "spec.variables: b stands in no message; put {{ b }} somewhere or take it out"
