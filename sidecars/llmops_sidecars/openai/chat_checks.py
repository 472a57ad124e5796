"""What a chat request says beyond its shape: what is refused by name, what has to fit together."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from llmops_sidecars.openai.chat import (
    ChatRequest,
    ContentPart,
    FunctionDefinition,
    Message,
    ResponseFormat,
    Tool,
    ToolChoice,
    decode_shape,
)
from llmops_sidecars.openai.decoding import missing_field, require_bounded
from llmops_sidecars.openai.errors import invalid_request, unsupported
from llmops_sidecars.openai.schemas import MOST_PARTS, Schema, SchemaError
from llmops_sidecars.openai.terms import Terms

TEXTS = frozenset({"text", "refusal"})
"""Parts of a message that are text."""

REFUSED = {
    "audio": "audio answers",
    "functions": "functions; offer them in 'tools'",
    "function_call": "function_call; say it in 'tool_choice'",
    "moderation": "moderation results; the policy of this service decides",
    "web_search_options": "web search",
}
"""Fields that change the answer and cannot be honoured, and what is told about them."""

OWN_CONTENT = frozenset({"system", "developer", "user", "tool"})
"""Roles whose messages are nothing without content."""

CHOICES = frozenset({"none", "auto", "required"})


def decode_request(body: bytes) -> ChatRequest:
    """Read a request; raises ApiError (400) that says which field is wrong and how."""
    request = decode_shape(body)
    require_sense(request)
    return request


def require_sense(request: ChatRequest) -> None:
    """Refuse what cannot be honoured, and what does not fit together; raises ApiError (400)."""
    _require_supported(request)
    _require_logprobs(request)
    if not request.messages and request.prompt is None:
        raise invalid_request("messages: give at least one message, or a prompt template in 'prompt'.", "messages")
    for index, message in enumerate(request.messages):
        _require_message(f"messages[{index}]", message)
    for index, tool in enumerate(request.tools or ()):
        function_of(tool, f"tools[{index}]")
    for field in ("tools", "response_format"):
        require_bounded(field, getattr(request, field))


def terms_of(request: ChatRequest) -> Terms:
    """What the request demands of its answer; raises ApiError (400) for schemas that cannot be used."""
    budget = _Budget()
    offered = {
        function.name: _strict(budget, function, f"tools[{index}].function.parameters")
        for index, tool in enumerate(request.tools or ())
        if (function := tool.function) is not None
    }
    if len(offered) < len(request.tools or ()):
        raise invalid_request("tools: two functions have the same name.", "tools")
    allowed, required = _allowed(request.tool_choice, frozenset(offered))
    form = request.response_format or ResponseFormat("text")
    return Terms(
        offered={name: schema for name, schema in offered.items() if name in allowed},
        call_required=required,
        one_call=request.parallel_tool_calls is False and bool(offered),
        json_object=form.type != "text" and (form.json_schema is None or form.json_schema.schema is None),
        schema=_schema(budget, form),
    )


def function_of(tool: Tool, place: str) -> FunctionDefinition:
    """The function that a tool is; raises ApiError (400) for other tools."""
    if tool.type != "function":
        raise unsupported(f"{place}.type", f"{place}: a tool that is no function")
    if tool.function is None:
        raise missing_field(f"{place}.function")
    return tool.function


def _require_supported(request: ChatRequest) -> None:
    for field, what in REFUSED.items():
        if getattr(request, field) is not None:
            raise unsupported(field, what)
    if request.store:
        raise unsupported("store", "store: keeping answers for later")
    if request.modalities is not None and "audio" in request.modalities:
        raise unsupported("modalities", "modalities: answers other than text")


def _require_logprobs(request: ChatRequest) -> None:
    if request.top_logprobs and not request.logprobs:
        raise invalid_request("top_logprobs: set logprobs to true with it.", "top_logprobs")


def _require_message(place: str, message: Message) -> None:
    if message.role in OWN_CONTENT and message.content is None:
        raise missing_field(f"{place}.content")
    if message.role == "tool" and message.tool_call_id is None:
        raise missing_field(f"{place}.tool_call_id")
    if message.function_call is not None:
        raise unsupported(f"{place}.function_call", f"{place}: function_call; use tool_calls")
    if message.audio is not None:
        raise unsupported(f"{place}.audio", f"{place}: audio")
    for number, part in _parts(message):
        _require_text(f"{place}.content[{number}]", part)
    for number, call in enumerate(message.tool_calls or ()):
        if call.type != "function":
            raise unsupported(f"{place}.tool_calls[{number}].type", f"{place}.tool_calls[{number}]: no function's call")
        if call.function is None:
            raise missing_field(f"{place}.tool_calls[{number}].function")


def _parts(message: Message) -> Iterator[tuple[int, ContentPart]]:
    return enumerate(message.content) if isinstance(message.content, tuple) else iter(())


def _require_text(place: str, part: ContentPart) -> None:
    if part.type not in TEXTS:
        raise unsupported(f"{place}.type", f"{place}: content other than text")
    if getattr(part, part.type) is None:
        raise missing_field(f"{place}.{part.type}")


def _allowed(choice: str | ToolChoice | None, offered: frozenset[str]) -> tuple[frozenset[str], bool]:
    """Which functions may be called, and whether one has to be; raises ApiError (400)."""
    if choice is None:
        return offered, False
    if isinstance(choice, str):
        if choice not in CHOICES:
            raise invalid_request("tool_choice: not one of none, auto, required.", "tool_choice")
        if choice == "required" and not offered:
            raise invalid_request("tool_choice: there are no tools of which one could be required.", "tool_choice")
        return (frozenset(), False) if choice == "none" else (offered, choice == "required")
    names, required = _chosen(choice)
    if not names <= offered:
        raise invalid_request("tool_choice: it names a function that is not among the tools.", "tool_choice")
    return names, required


def _chosen(choice: ToolChoice) -> tuple[frozenset[str], bool]:
    if choice.type == "function":
        if choice.function is None:
            raise missing_field("tool_choice.function")
        return frozenset({choice.function.name}), True
    if choice.type == "allowed_tools":
        if choice.allowed_tools is None:
            raise missing_field("tool_choice.allowed_tools")
        place = "tool_choice.allowed_tools.tools"
        tools = enumerate(choice.allowed_tools.tools)
        names = frozenset(function_of(tool, f"{place}[{index}]").name for index, tool in tools)
        return names, choice.allowed_tools.mode == "required"
    raise unsupported("tool_choice.type", "tool_choice: a tool that is no function")


class _Budget:
    """What all schemas of one request may have together."""

    def __init__(self) -> None:
        self._parts = 0

    def made(self, document: dict[str, object], place: str) -> Schema:
        try:
            schema = Schema.of(document)
        except SchemaError as error:
            raise invalid_request(f"{place}: this schema cannot be used: {error}.", place) from error
        self._parts += schema.parts
        if self._parts > MOST_PARTS:
            raise invalid_request(f"{place}: the schemas have more than {MOST_PARTS} parts together.", place)
        return schema


def _strict(budget: _Budget, function: FunctionDefinition, place: str) -> Schema | None:
    if not function.strict or function.parameters is None:
        return None
    return budget.made(function.parameters, place)


def _schema(budget: _Budget, form: ResponseFormat) -> Schema | None:
    if form.type != "json_schema":
        return None
    if form.json_schema is None:
        raise missing_field("response_format.json_schema")
    if form.json_schema.schema is None:
        return None
    return budget.made(form.json_schema.schema, "response_format.json_schema.schema")


def narrowed(request: ChatRequest) -> ChatRequest:
    """The request as engines understand it: of tools that are not all allowed, only those that are."""
    choice = request.tool_choice
    if not isinstance(choice, ToolChoice) or choice.allowed_tools is None:
        return request
    names, required = _chosen(choice)
    tools = tuple(tool for tool in request.tools or () if tool.function is not None and tool.function.name in names)
    return msgspec.structs.replace(request, tools=tools, tool_choice="required" if required else "auto")
