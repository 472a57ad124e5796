"""The prompt templates of a service, as callers see them: `/v1/prompts`. OpenAI's API has no such thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from llmops_sidecars.contract import Parameters, Template, Variable, VariableType
from llmops_sidecars.openai.chat import Message
from llmops_sidecars.openai.decoding import decode_with

VariableValues = dict[str, str | int | float | bool | tuple[str, ...]]


class PromptVariable(Struct, frozen=True, omit_defaults=True):
    """What a value must be; bounds that its type does not have are left out."""

    name: str
    type: VariableType
    required: bool
    max_length: int
    description: str | None = None
    default: str | tuple[str, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] = ()
    max_items: int | None = None


class Prompt(Struct, frozen=True):
    """A template: what it is called, which version is served, which variables it has."""

    id: str
    version: str
    variables: tuple[PromptVariable, ...]
    parameters: Parameters
    object: Literal["prompt"] = "prompt"


class PromptList(Struct, frozen=True):
    """All templates that the caller may use."""

    data: tuple[Prompt, ...]
    object: Literal["list"] = "list"


class RenderRequest(Struct, frozen=True, omit_defaults=True):
    """Values for a template's variables."""

    variables: VariableValues | None = None
    version: str | None = None


class RenderedPrompt(Struct, frozen=True):
    """What a request with these values would send before its own messages."""

    id: str
    version: str
    messages: tuple[Message, ...]
    object: Literal["prompt.rendered"] = "prompt.rendered"


_DECODER = msgspec.json.Decoder(RenderRequest)


def decode_render_request(body: bytes) -> RenderRequest:
    """Read a request; raises ApiError (400) that says which field is wrong and how."""
    return decode_with(_DECODER, body)


def prompt_list(templates: Mapping[str, Template]) -> PromptList:
    """The templates, without their texts."""
    return PromptList(tuple(map(_prompt, templates.values())))


def _prompt(template: Template) -> Prompt:
    return Prompt(template.id, template.version, tuple(map(_variable, template.variables)), template.parameters)


def _variable(one: Variable) -> PromptVariable:
    listed = one.type is VariableType.LIST
    return PromptVariable(
        name=one.name,
        type=one.type,
        required=one.required,
        max_length=one.max_length,
        description=one.description,
        default=(one.default_items or None) if listed else one.default,
        minimum=one.minimum,
        maximum=one.maximum,
        values=one.values,
        max_items=one.max_items if listed else None,
    )
