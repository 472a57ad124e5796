"""`PromptTemplate`: messages with named slots."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from llmops_operator.api.common import CONDITIONS, Condition, DecimalText, Identifier, Model, rules

NOT_BOTH = "a required variable has no default"
DEFAULT_RULE = (
    "!has(self.default) || self.type == 'string' || "
    "(self.type == 'boolean' && self.default in ['true', 'false']) || "
    "(self.type == 'integer' && self.default.matches('^-?[0-9]+$')) || "
    "(self.type == 'number' && self.default.matches('^-?[0-9]+([.][0-9]+)?$'))"
)
DEFAULT_OF_TYPE = "the default is not of the variable's type"


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


class TemplateVariable(Model):
    """One slot."""

    model_config = rules(("!(self.required && has(self.default))", NOT_BOTH), (DEFAULT_RULE, DEFAULT_OF_TYPE))

    name: Identifier = Field(description="Its name in {{ }} and in requests.")
    type: TemplateVariableType = Field(default=TemplateVariableType.STRING, description="What a value must be.")
    required: bool = Field(default=False, description="Whether a request must give it.")
    default: Annotated[str, Field(max_length=4096)] | None = Field(
        default=None, description="The value when a request gives none; the empty text when left out."
    )
    max_length: int = Field(default=4000, ge=1, le=1_000_000, description="The longest value, in characters.")
    description: Annotated[str, Field(max_length=1024)] | None = Field(default=None, description="For people.")

    @model_validator(mode="after")
    def _default_fits(self) -> Self:
        if self.required and self.default is not None:
            raise ValueError(NOT_BOTH)
        if self.default is not None and not _is_of_type(self.default, self.type):
            raise ValueError(DEFAULT_OF_TYPE)
        return self


class InferenceParameters(Model):
    """Defaults for the model; what a request says itself wins."""

    temperature: DecimalText | None = Field(default=None, description="How freely tokens are chosen, such as 0.2.")
    top_p: DecimalText | None = Field(default=None, description="The share of probability that is chosen from.")
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000, description="The longest answer, in tokens.")
    stop: Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=4)] = Field(
        default_factory=list, description="Texts that end an answer."
    )


class PromptTemplateSpec(Model):
    """Messages with named slots."""

    messages: Annotated[list[TemplateMessage], Field(min_length=1, max_length=32)] = Field(
        description="What is sent to the model, before the messages of the request."
    )
    variables: Annotated[list[TemplateVariable], Field(max_length=64)] = Field(
        default_factory=list,
        description="The slots.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    parameters: InferenceParameters | None = Field(default=None, description="Defaults for the model.")

    @model_validator(mode="after")
    def _unique_names(self) -> Self:
        names = [variable.name for variable in self.variables]
        if len(names) != len(set(names)):
            raise ValueError("variables must have different names")
        return self


class PromptTemplateStatus(Model):
    """What is."""

    observed_generation: int = Field(default=0, ge=0, description="The generation that this speaks about.")
    version: str = Field(default="", max_length=64, description="The digest of the content: what requests may pin.")
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(
        default_factory=list, description="What is well and what is not.", json_schema_extra=CONDITIONS
    )


def _is_of_type(text: str, kind: TemplateVariableType) -> bool:
    if kind is TemplateVariableType.STRING:
        return True
    try:
        value = json.loads(text)
    except ValueError:
        return False
    if kind is TemplateVariableType.BOOLEAN:
        return isinstance(value, bool)
    accepted = int if kind is TemplateVariableType.INTEGER else (int, float)
    return isinstance(value, accepted) and not isinstance(value, bool)
