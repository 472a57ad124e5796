from __future__ import annotations

from typing import Any

import pytest

from llmops_operator.api import PromptTemplateSpec
from llmops_operator.desired.templates import order, placed, resolved

EXAMPLES = [{"user": "2+2?", "assistant": "4"}, {"user": "3+3?", "assistant": "6"}]
SHOWN = ["user 2+2?", "assistant 4", "user 3+3?", "assistant 6"]


def spec(*roles: str, **more: Any) -> PromptTemplateSpec:
    """A template whose messages say their number."""
    said = [{"role": role, "content": str(place)} for place, role in enumerate(roles)]
    return PromptTemplateSpec.model_validate({"messages": said, **more})


@pytest.mark.parametrize(
    ("roles", "before", "after"),
    [
        (("system", "user"), ["system 0"], ["user 1"]),
        (("system",), ["system 0"], []),
        (("user", "assistant", "user"), ["user 0", "assistant 1"], ["user 2"]),
        (("developer", "user", "assistant"), ["developer 0"], ["user 1", "assistant 2"]),
    ],
    ids=["a question", "no question", "a conversation", "an answer begun"],
)
def test_examples_stand_before_the_last_user_message(
    roles: tuple[str, ...], before: list[str], after: list[str]
) -> None:
    found = [f"{one.role} {one.content}" for one in placed(spec(*roles, examples=EXAMPLES))]
    assert found == [*before, *SHOWN, *after]


def test_without_examples_the_messages_stay_as_they_are() -> None:
    plain = spec("system", "user")
    assert placed(plain) == list(plain.messages)


def including(*names: str, **more: Any) -> PromptTemplateSpec:
    return spec("user", includes=[{"name": name} for name in names], **more)


def lines(found: PromptTemplateSpec) -> list[str]:
    return [f"{one.role} {one.content}" for one in found.messages]


def said(role: str, content: str, *names: str, **more: Any) -> PromptTemplateSpec:
    includes = [{"name": name} for name in names]
    return PromptTemplateSpec.model_validate(
        {"messages": [{"role": role, "content": content}], "includes": includes, **more}
    )


def test_a_template_without_includes_is_itself() -> None:
    plain = spec("system", "user")
    assert resolved("t", {"t": plain}) is plain


def test_what_is_included_comes_first_and_once() -> None:
    specs = {
        "t": said("user", "t", "a", "b"),
        "a": said("user", "a", "c"),
        "b": said("user", "b", "c"),
        "c": said("user", "c"),
    }
    assert order("t", specs) == ["c", "a", "b", "t"]
    assert lines(resolved("t", specs)) == ["user c", "user a", "user b", "user t"]
    assert not resolved("t", specs).includes


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("system", "system", ["system a\n\nt"]),
        ("developer", "developer", ["developer a\n\nt"]),
        ("developer", "system", ["developer a", "system t"]),
        ("user", "user", ["user a", "user t"]),
    ],
)
def test_instructions_that_follow_instructions_are_one_message(first: str, second: str, expected: list[str]) -> None:
    specs = {"t": said(second, "t", "a"), "a": said(first, "a")}
    assert lines(resolved("t", specs)) == expected


def test_the_nearest_declaration_of_a_variable_counts() -> None:
    def with_default(default: str, *names: str) -> PromptTemplateSpec:
        return said("user", "{{ x }}", *names, variables=[{"name": "x", "default": default}])

    specs = {"t": with_default("near", "a"), "a": with_default("far", "b"), "b": with_default("farther")}
    assert [one.default for one in resolved("t", specs).variables] == ["near"]
    assert [one.default for one in resolved("a", specs).variables] == ["far"]


def test_examples_are_included_and_parameters_are_not() -> None:
    specs = {
        "t": including("a", examples=EXAMPLES[1:]),
        "a": spec("system", examples=EXAMPLES[:1], parameters={"maxTokens": 5}),
    }
    found = resolved("t", specs)
    assert [one.user for one in found.examples] == ["2+2?", "3+3?"]
    assert found.parameters is None
    assert [f"{one.role} {one.content}" for one in placed(found)] == ["system 0", *SHOWN, "user 0"]
