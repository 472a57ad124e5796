"""Prompt templates, as data.

What equals its default is left out, so that a field which nobody uses is no news to a sidecar that does not know it.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class VariableType(StrEnum):
    """What a variable's value must be."""

    STRING = "string"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    ENUM = "enum"
    LIST = "list"


class Variable(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A named slot of a template. `default` is in JSON's form for types other than string; lengths in characters.

    `minimum` and `maximum` bound numbers; an enum has `values`; a list of texts stands in the prompt with `separator`
    between its items, of which each has at most `max_length` characters. `description` is for people.
    """

    name: str
    type: VariableType = VariableType.STRING
    required: bool = False
    default: str | None = None
    max_length: int = 4000
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] = ()
    max_items: int = 64
    separator: str = ", "
    default_items: tuple[str, ...] = ()
    description: str | None = None


class TemplateCall(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A call of a function in a message; `arguments` is JSON, and has no slots."""

    id: str
    name: str
    arguments: str


class Message(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One message of a template; `{{ name }}` in the content stands for a variable's value.

    An assistant's with calls may have no content; a tool's names the call that it answers.
    """

    role: str
    content: str = ""
    tool_calls: tuple[TemplateCall, ...] = ()
    tool_call_id: str | None = None


class Parameter(StrEnum):
    """What says how the model answers, as OpenAI's API calls it."""

    TEMPERATURE = "temperature"
    TOP_P = "top_p"
    MAX_TOKENS = "max_tokens"
    STOP = "stop"
    SEED = "seed"
    PRESENCE_PENALTY = "presence_penalty"
    FREQUENCY_PENALTY = "frequency_penalty"


class AllowedParameter(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A parameter that callers may change, within bounds, both of which belong to it."""

    name: Parameter
    minimum: float | None = None
    maximum: float | None = None


class Parameters(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Defaults for the model. `allow`: what a request may say itself; everything when it is None."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    allow: tuple[AllowedParameter, ...] | None = None


class Template(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A prompt template; `version` is the digest of its content."""

    id: str
    version: str
    messages: tuple[Message, ...]
    variables: tuple[Variable, ...] = ()
    parameters: Parameters = Parameters()
