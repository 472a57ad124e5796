"""Which texts of a request the rules see: all that are forwarded.

Not a list of fields but every string there is: contents, refusals, names, tool calls with their arguments, tool
definitions and the keys in their schemas, stop words, response formats. A field that is new to the request is covered
before anybody thinks of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from llmops_sidecars.openai.chat import (
    AllowedTools,
    ChatRequest,
    ContentPart,
    FunctionCall,
    FunctionDefinition,
    JsonSchema,
    Message,
    NamedFunction,
    ResponseFormat,
    StreamOptions,
    Tool,
    ToolCall,
    ToolChoice,
    message_text,
)

STRUCTS = (
    AllowedTools,
    ChatRequest,
    ContentPart,
    FunctionCall,
    FunctionDefinition,
    JsonSchema,
    Message,
    NamedFunction,
    ResponseFormat,
    StreamOptions,
    Tool,
    ToolCall,
    ToolChoice,
)
FIELDS = frozenset(field for struct in STRUCTS for field in struct.__struct_fields__)
"""Names of the API itself, which a pattern must not break."""

WORDS = {
    "role": frozenset({"system", "developer", "user", "assistant", "tool", "function"}),
    "type": frozenset(
        {
            *("function", "text", "refusal", "json_object", "json_schema"),
            *("string", "number", "integer", "boolean", "array", "object", "null"),
        }
    ),
    "tool_choice": frozenset({"none", "auto", "required"}),
    "reasoning_effort": frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"}),
    "verbosity": frozenset({"low", "medium", "high"}),
}
"""Values of the API itself, by field."""


def one_text(message: Message) -> Message:
    """The message with its parts joined, as the model reads them: nothing hides between two parts."""
    if not isinstance(message.content, tuple):
        return message
    return msgspec.structs.replace(message, content=message_text(message))


def plain(request: ChatRequest) -> ChatRequest:
    """The request with each message's parts joined."""
    if not any(isinstance(message.content, tuple) for message in request.messages):
        return request
    return msgspec.structs.replace(request, messages=tuple(map(one_text, request.messages)))


def checked(request: ChatRequest, check: Callable[[str], str]) -> dict[str, Any]:
    """The request's fields with every text but the model's name replaced by what `check` returns for it.

    An exception of `check` passes through.
    """
    fields: dict[str, Any] = msgspec.to_builtins(plain(request))
    mapped: dict[str, Any] = _mapped({name: value for name, value in fields.items() if name != "model"}, check)
    return {"model": request.model} | mapped


def texts(request: ChatRequest) -> list[str]:
    """All texts that `checked` would show to the rules."""
    seen: list[str] = []

    def note(text: str) -> str:
        seen.append(text)
        return text

    checked(request, note)
    return seen


def _mapped(value: Any, check: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return check(value)
    if isinstance(value, dict):
        return {
            key if key in FIELDS else check(key): item if _is_word(key, item) else _mapped(item, check)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_mapped(item, check) for item in value]
    return value


def _is_word(key: str, value: Any) -> bool:
    return isinstance(value, str) and value in WORDS.get(key, ())
