from __future__ import annotations

import pytest

from llmops_sidecars.engine.prompt import prompt_text
from llmops_sidecars.openai.chat import ContentPart, Message


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ((), ""),
        ((Message("user", "Hi"),), "Hi"),
        ((Message("system", "Be kind."), Message("user", "Hi\nthere")), "Be kind.\n\nHi\nthere"),
        ((Message("user", "a"), Message("assistant", None), Message("assistant", ""), Message("user", "b")), "a\n\nb"),
        ((Message("user", (ContentPart("text", "a"), ContentPart("text", "b"))),), "ab"),
    ],
    ids=["none", "one", "two", "empty ones", "parts"],
)
def test_messages_become_one_text(messages: tuple[Message, ...], text: str) -> None:
    assert prompt_text(messages) == text
