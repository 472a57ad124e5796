"""`PromptTemplate`: messages with named slots."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StrictBool, StrictInt, model_validator

from llmops_operator.api.common import Conditions, DecimalText, Identifier, Model
from llmops_operator.api.rules import Unique, number_up_to, rules, share

NOT_BOTH = "a required variable has no default"
DEFAULT_OF_TYPE = "the default is not of the variable's type"
DEFAULT_TOO_LONG = "the default is longer than maxLength"
INTEGER = "-?(0|[1-9][0-9]*)"
NUMBER = f"{INTEGER}([.][0-9]+)?"
DEFAULT_RULE = (
    "!has(self.default) || self.type == 'string' || "
    "(self.type == 'boolean' && self.default in ['true', 'false']) || "
    f"(self.type == 'integer' && self.default.matches('^{INTEGER}$')) || "
    f"(self.type == 'number' && self.default.matches('^{NUMBER}$'))"
)


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


class TemplateVariableType(StrEnum):
    """What a value must be."""

    STRING = "string"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"


_FORMS = {
    TemplateVariableType.STRING: "(?s:.*)",
    TemplateVariableType.NUMBER: NUMBER,
    TemplateVariableType.INTEGER: INTEGER,
    TemplateVariableType.BOOLEAN: "true|false",
}
"""What the text of a default looks like, as JSON has it."""


class TemplateVariable(Model):
    """One slot."""

    model_config = rules(
        ("!(self.required && has(self.default))", NOT_BOTH),
        ("!has(self.default) || self.default.size() <= self.maxLength", DEFAULT_TOO_LONG),
        (DEFAULT_RULE, DEFAULT_OF_TYPE),
    )

    name: Identifier = Field(description="Its name in {{ }} and in requests.")
    type: TemplateVariableType = Field(default=TemplateVariableType.STRING, description="What a value must be.")
    required: StrictBool = Field(default=False, description="Whether a request must give it.")
    default: Annotated[str, Field(max_length=4096)] | None = Field(
        default=None, description="The value when a request gives none; the empty text when left out."
    )
    max_length: StrictInt = Field(default=4000, ge=1, le=1_000_000, description="The longest value, in characters.")
    description: Annotated[str, Field(max_length=1024)] | None = Field(default=None, description="For people.")

    @model_validator(mode="after")
    def _default_fits(self) -> Self:
        if self.default is None:
            return self
        if self.required:
            raise ValueError(NOT_BOTH)
        if len(self.default) > self.max_length:
            raise ValueError(DEFAULT_TOO_LONG)
        if not re.fullmatch(_FORMS[self.type], self.default):
            raise ValueError(DEFAULT_OF_TYPE)
        return self


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
