"""`PromptTemplate`: messages with named slots."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StrictInt

from llmops_operator.api.common import Conditions, DecimalText, Model
from llmops_operator.api.rules import Unique, number_up_to, share
from llmops_operator.api.variables import TemplateVariable


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class TemplateMessage(Model):
    """One message; `{{ name }}` stands for a variable's value."""

    role: Role = Field(description="Who speaks.")
    content: Annotated[str, Field(min_length=1, max_length=32768)] = Field(
        description="The text; {{ name }} stands for a variable's value."
    )


class InferenceParameters(Model):
    """Defaults for the model; what a request says itself wins."""

    temperature: Annotated[DecimalText, number_up_to(2)] | None = Field(
        default=None, description='How freely tokens are chosen: a number from 0 to 2, as text, such as "0.2".'
    )
    top_p: Annotated[DecimalText, share()] | None = Field(
        default=None, description='The share of probability that tokens are chosen from, as text, such as "0.9".'
    )
    max_tokens: StrictInt | None = Field(default=None, ge=1, le=1_000_000, description="The longest answer, in tokens.")
    stop: Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=4)] = Field(
        default_factory=list, description="Texts that end an answer."
    )


class PromptTemplateSpec(Model):
    """Messages with named slots."""

    messages: Annotated[list[TemplateMessage], Field(min_length=1, max_length=32)] = Field(
        description="What is sent to the model, before the messages of the request."
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
