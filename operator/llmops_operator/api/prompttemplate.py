"""`PromptTemplate`: messages with named slots."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from llmops_operator.api.common import Conditions, Model, ObjectReference
from llmops_operator.api.parameters import InferenceParameters
from llmops_operator.api.rules import Unique, rules
from llmops_operator.api.variables import TemplateVariable

NO_CONTENT = "a message needs content; an assistant's may have toolCalls instead"
CALLS_OF_OTHERS = "toolCalls are for the role assistant"
ANSWER_OF_OTHERS = "the role tool needs toolCallId, and no other role has it"

Content = Annotated[str, Field(min_length=1, max_length=32768)]
CallId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=64)]
"""As providers take it."""


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class TemplateToolCall(Model):
    """A call of a function, as an example of one; no slots are filled in it."""

    id: CallId = Field(description="What the message that answers it names in toolCallId.")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=64)] = Field(description="The function's name.")
    arguments: Annotated[str, Field(min_length=2, max_length=8192)] = Field(
        description="Its arguments: a JSON object, as text."
    )


class TemplateMessage(Model):
    """One message; `{{ name }}` stands for a variable's value."""

    model_config = rules(
        ("has(self.content) || (self.role == 'assistant' && has(self.toolCalls))", NO_CONTENT),
        ("!has(self.toolCalls) || self.role == 'assistant'", CALLS_OF_OTHERS),
        ("(self.role == 'tool') == has(self.toolCallId)", ANSWER_OF_OTHERS),
    )

    role: Role = Field(description="Who speaks.")
    content: Content | None = Field(default=None, description="The text; {{ name }} stands for a variable's value.")
    tool_calls: Annotated[list[TemplateToolCall], Field(min_length=1, max_length=16), Unique("id")] | None = Field(
        default=None, description="What an assistant called, as an example for the model."
    )
    tool_call_id: CallId | None = Field(default=None, description="The call that a tool's message answers.")

    @model_validator(mode="after")
    def _fits_its_role(self) -> Self:
        if self.content is None and not (self.role is Role.ASSISTANT and self.tool_calls):
            raise ValueError(NO_CONTENT)
        if self.tool_calls and self.role is not Role.ASSISTANT:
            raise ValueError(CALLS_OF_OTHERS)
        if (self.role is Role.TOOL) != (self.tool_call_id is not None):
            raise ValueError(ANSWER_OF_OTHERS)
        return self


class TemplateExample(Model):
    """What was asked, and what a good answer to it is."""

    user: Content = Field(description="What was asked; slots are filled here, too.")
    assistant: Content = Field(description="The answer that the model shall take for an example.")


class PromptTemplateSpec(Model):
    """Messages with named slots."""

    includes: Annotated[list[ObjectReference], Field(max_length=8), Unique("name")] = Field(
        default_factory=list,
        description="Templates of this namespace whose messages, examples and variables come before its own.",
    )
    messages: Annotated[list[TemplateMessage], Field(min_length=1, max_length=32)] = Field(
        description="What is sent to the model, before the messages of the request."
    )
    examples: Annotated[list[TemplateExample], Field(max_length=16)] = Field(
        default_factory=list,
        description="Questions with their answers, put before the last user message, or after all where there is none.",
    )
    variables: Annotated[list[TemplateVariable], Field(max_length=64), Unique("name")] = Field(
        default_factory=list, description="The slots."
    )
    parameters: InferenceParameters | None = Field(default=None, description="Defaults for the model.")


class PromptTemplateStatus(Model):
    """What is."""

    observed_generation: int = Field(default=0, ge=0, description="The generation that this speaks about.")
    version: str = Field(default="", max_length=64, description="The digest of the content: what requests may pin.")
    conditions: Conditions = Field(default_factory=list, description="What is well and what is not.")
