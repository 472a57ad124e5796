"""What a PromptTemplate comes to: the messages that the guard fills, in their order."""

from __future__ import annotations

from llmops_operator.api import PromptTemplateSpec
from llmops_operator.api.prompttemplate import Role, TemplateExample, TemplateMessage


def messages(spec: PromptTemplateSpec) -> list[TemplateMessage]:
    """All messages: the examples stand before the last user message, or after all where there is none."""
    users = [place for place, message in enumerate(spec.messages) if message.role is Role.USER]
    place = users[-1] if users else len(spec.messages)
    shown = [message for example in spec.examples for message in _example(example)]
    return [*spec.messages[:place], *shown, *spec.messages[place:]]


def _example(example: TemplateExample) -> tuple[TemplateMessage, TemplateMessage]:
    return (
        TemplateMessage(role=Role.USER, content=example.user),
        TemplateMessage(role=Role.ASSISTANT, content=example.assistant),
    )
