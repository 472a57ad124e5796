from __future__ import annotations

from typing import Any

import pytest

from llmops_operator.api import PromptTemplateSpec
from llmops_operator.desired.templates import messages

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
    placed = [f"{one.role} {one.content}" for one in messages(spec(*roles, examples=EXAMPLES))]
    assert placed == [*before, *SHOWN, *after]


def test_without_examples_the_messages_stay_as_they_are() -> None:
    plain = spec("system", "user")
    assert messages(plain) == list(plain.messages)
