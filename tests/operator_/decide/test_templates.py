from __future__ import annotations

from typing import Any

import pytest

from llmops_operator.api import PromptTemplateSpec
from llmops_operator.decide import templates
from llmops_operator.world import Resource, resource
from tests.operator_.decide.worlds import kind

Document = dict[str, Any]


def template_problem(one: PromptTemplateSpec) -> str | None:
    """What is wrong with a template that includes nothing."""
    document = one.model_dump(mode="json", by_alias=True, exclude_none=True)
    found = templates.template_problem("t", named(t=document))
    assert found is None or not found.missing
    return None if found is None else found.message


def named(**specs: object) -> dict[str, Resource[PromptTemplateSpec]]:
    return {name: resource(kind(name, one), PromptTemplateSpec) for name, one in specs.items()}


def including(*names: str, content: str = "x", **more: Any) -> Document:
    includes = [{"name": name} for name in names]
    return {"messages": [{"role": "user", "content": content}], "includes": includes, **more}


SLOTTED = including(content="{{ x }}", variables=[{"name": "x"}])

DIFFERENT = "spec.variables: a and b, which are included, have different variables x; "
ADVICE = "declare it here, or make them the same"

PROBLEMS: dict[str, tuple[dict[str, object], str, bool]] = {
    "a missing one": (
        {"t": including("a"), "a": including("b")},
        "spec.includes: create the PromptTemplate b in this namespace (t > a > b)",
        True,
    ),
    "itself": ({"t": including("t")}, "spec.includes go round in a circle: t > t; take one of them out", False),
    "a circle": (
        {"t": including("a"), "a": including("b"), "b": including("a")},
        "spec.includes go round in a circle: t > a > b > a; take one of them out",
        False,
    ),
    "an unreadable one": (
        {"t": including("a"), "a": {}},
        "correct a, which is included: spec.messages: is required",
        False,
    ),
    "a wrong one": (
        {"t": including("a"), "a": including("b"), "b": including(content="{{ y }}")},
        "correct b, which is included: spec.messages[0]: {{ y }} has no entry in spec.variables; add one or correct it",
        False,
    ),
    "two that differ": (
        {"t": including("a", "b"), "a": SLOTTED, "b": SLOTTED | {"variables": [{"name": "x", "default": "1"}]}},
        f"{DIFFERENT}{ADVICE}",
        False,
    ),
    "two that differ, further down": (
        {
            "t": including("m", variables=[{"name": "x", "default": "2"}]),
            "m": including("a", "b"),
            "a": SLOTTED,
            "b": SLOTTED | {"variables": [{"name": "x", "default": "1"}]},
        },
        f"correct m, which is included: {DIFFERENT}{ADVICE}",
        False,
    ),
    "too deep": (
        {"t": including("i0"), **{f"i{n}": including(f"i{n + 1}") for n in range(9)}},
        "spec.includes are more than 8 deep: t > i0 > i1 > i2 > i3 > i4 > i5 > i6 > i7; include what is below directly",
        False,
    ),
    "an unreadable template": ({"t": {}}, "spec.messages: is required", False),
    "a variable that stands in none of them": (
        {"t": including("a", variables=[{"name": "y"}]), "a": SLOTTED},
        "spec.variables: y stands in no message; put {{ y }} somewhere or take it out",
        False,
    ),
}


@pytest.mark.parametrize(("specs", "message", "missing"), PROBLEMS.values(), ids=PROBLEMS)
def test_includes_that_cannot_be_resolved_are_told(specs: dict[str, object], message: str, *, missing: bool) -> None:
    assert templates.template_problem("t", named(**specs)) == templates.Problem(message, missing)


@pytest.mark.parametrize(
    "specs",
    [
        {"t": including("a"), "a": SLOTTED},
        {"t": including("a", variables=[{"name": "x", "default": "1"}]), "a": SLOTTED},
        {"t": including("a", content="{{ x }}"), "a": SLOTTED},
        {"t": including("a", "b"), "a": including("b"), "b": SLOTTED},
        {"t": including("a", "b"), "a": SLOTTED, "b": SLOTTED},
    ],
    ids=["an include", "its variable anew", "its variable used", "by two ways", "two alike"],
)
def test_includes_that_fit_are_well(specs: dict[str, object]) -> None:
    assert templates.template_problem("t", named(**specs)) is None


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
