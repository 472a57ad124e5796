"""The request of `/v1/responses`, and its translation into the internal form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from llmops_sidecars.openai.chat import (
    MAX_MESSAGES,
    MAX_TOOLS,
    MOST_ALTERNATIVES,
    AllowedTools,
    ChatRequest,
    ContentPart,
    FunctionCall,
    FunctionDefinition,
    JsonSchema,
    Message,
    NamedFunction,
    PromptReference,
    ReasoningEffort,
    ResponseFormat,
    StreamOptions,
    TokenLimit,
    Tool,
    ToolCall,
    ToolChoice,
    Verbosity,
)
from llmops_sidecars.openai.decoding import decode_with, missing_field, named, require_bounded
from llmops_sidecars.openai.errors import invalid_request, unsupported

MAX_METADATA = 16
"""Pairs, as in the specification."""

LOGPROBS = "message.output_text.logprobs"
"""What `include` names them; what else it may name comes from tools that are not offered here."""

REFUSED = {
    "background": "background: answers that are fetched later",
    "context_management": "context_management: dropping parts of the conversation",
    "conversation": "conversation: nothing is stored here; send the whole conversation as input",
    "moderation": "moderation results; the policy of this service decides",
    "previous_response_id": "previous_response_id: nothing is stored here; send the whole conversation as input",
    "store": "store: keeping responses for later",
}
"""Fields that change the answer and cannot be honoured, and what is told about them."""

ROLES = frozenset({"user", "assistant", "system", "developer"})
TEXT_PARTS = frozenset({"input_text", "output_text", "text"})


class InputPart(Struct, frozen=True):
    """A piece of a message or of a function's output; only texts and refusals are taken."""

    type: str
    text: str | None = None
    refusal: str | None = None


class InputItem(Struct, frozen=True):
    """A message, a call of a function, or its output: which one, says `type`; without it, a message has a role.

    Items of other types, which are refused, have other things in the fields that are `Any`.
    """

    type: str | None = None
    role: str | None = None
    content: Any = None
    call_id: str | None = None
    name: str | None = None
    arguments: Any = None
    output: Any = None


class PromptTemplate(Struct, frozen=True, omit_defaults=True):
    """A template by its id, with values for its variables: texts, numbers, lists of texts, texts as parts."""

    id: Annotated[str, Meta(min_length=1, max_length=253)]
    variables: dict[str, Any] | None = None
    version: str | None = None


class FunctionTool(Struct, frozen=True):
    """A function that the model may call; `parameters` is a JSON schema."""

    name: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    type: str = "function"
    description: str | None = None


class FunctionChoice(Struct, frozen=True, omit_defaults=True):
    """One function that has to be called, or some tools of which one may."""

    type: str
    name: str | None = None
    mode: Literal["auto", "required"] | None = None
    tools: Annotated[tuple[FunctionTool, ...], Meta(max_length=MAX_TOOLS)] | None = None


class TextFormat(Struct, frozen=True, omit_defaults=True):
    """The form of the answer; the fields of a schema stand beside its type."""

    type: Literal["text", "json_object", "json_schema"] | str  # noqa: PYI051 - the words are for the document
    name: str | None = None
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class TextSettings(Struct, frozen=True, omit_defaults=True):
    """How the text is to be."""

    format: TextFormat | None = None
    verbosity: Verbosity | None = None


class Reasoning(Struct, frozen=True):
    """How much to think; of summaries there are none."""

    effort: ReasoningEffort | None = None
    summary: str | None = None


class ResponseStreamOptions(Struct, frozen=True):
    """`include_obfuscation` asks for events of like sizes."""

    include_obfuscation: bool | None = None


class ResponsesRequest(Struct, frozen=True):
    """A request. From `background` on: what is known only to be refused."""

    model: Annotated[str, Meta(min_length=1)]
    input: str | Annotated[tuple[InputItem, ...], Meta(max_length=MAX_MESSAGES)] | None = None
    instructions: str | None = None
    prompt: PromptTemplate | None = None
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    max_output_tokens: TokenLimit | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=MOST_ALTERNATIVES)] | None = None
    include: Annotated[tuple[str, ...], Meta(max_length=64)] | None = None
    tools: Annotated[tuple[FunctionTool, ...], Meta(max_length=MAX_TOOLS)] | None = None
    tool_choice: str | FunctionChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextSettings | None = None
    reasoning: Reasoning | None = None
    metadata: (
        Annotated[
            dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
            Meta(max_length=MAX_METADATA),
        ]
        | None
    ) = None
    user: str | None = None
    safety_identifier: str | None = None
    truncation: Literal["auto", "disabled"] | None = None
    background: bool | None = None
    context_management: Any | None = None
    conversation: Any | None = None
    moderation: Any | None = None
    previous_response_id: str | None = None
    store: bool | None = None


_DECODER = msgspec.json.Decoder(ResponsesRequest)


def decode_responses_request(body: bytes) -> ResponsesRequest:
    """Read a request; raises ApiError (400) that says which field is wrong and how."""
    request = decode_with(_DECODER, body)
    for field, what in REFUSED.items():
        if getattr(request, field) not in (None, False):
            raise unsupported(field, what)
    if request.truncation == "auto":
        raise unsupported("truncation", "truncation: dropping parts of an input that is too long")
    for name in ("tools", "text", "prompt"):
        require_bounded(name, getattr(request, name))
    return request


def chat_request(request: ResponsesRequest) -> ChatRequest:
    """The request in the internal form; raises ApiError (400) for what has none."""
    text = request.text or TextSettings()
    logprobs = bool(request.top_logprobs) or LOGPROBS in (request.include or ())
    return ChatRequest(
        model=request.model,
        messages=_messages(request),
        prompt=_prompt(request.prompt),
        stream=request.stream,
        stream_options=_options(request.stream_options),
        max_completion_tokens=request.max_output_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        logprobs=logprobs or None,
        top_logprobs=request.top_logprobs or None,
        tools=_tools(request.tools or (), "tools") or None,
        tool_choice=_tool_choice(request.tool_choice),
        parallel_tool_calls=request.parallel_tool_calls if request.tools else None,
        response_format=_format(text.format),
        reasoning_effort=request.reasoning.effort if request.reasoning else None,
        verbosity=text.verbosity,
        user=request.user,
        safety_identifier=request.safety_identifier,
    )


def _messages(request: ResponsesRequest) -> tuple[Message, ...]:
    messages = [] if request.instructions is None else [Message("system", request.instructions)]
    if isinstance(request.input, str):
        return (*messages, Message("user", request.input))
    if not request.input and request.prompt is None:
        raise invalid_request("input: give a text or items, or a prompt template in 'prompt'.", "input")
    for index, item in enumerate(request.input or ()):
        _add(messages, item, f"input[{index}]")
    return tuple(messages)


def _prompt(template: PromptTemplate | None) -> PromptReference | None:
    if template is None:
        return None
    variables = {name: _variable(value) for name, value in (template.variables or {}).items()}
    return PromptReference(template.id, variables, template.version)


def _variable(value: Any) -> str | int | float | bool | tuple[str, ...]:
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if isinstance(value, dict) and value.get("type") == "input_text" and isinstance(value.get("text"), str):
        return str(value["text"])
    raise unsupported("prompt.variables", "prompt.variables: values other than texts, numbers and lists of texts")


def _add(messages: list[Message], item: InputItem, place: str) -> None:
    """Add an item; calls join the assistant's message before them."""
    kind = item.type or ("message" if item.role else "item_reference")
    if kind == "message":
        messages.append(_message(item, place))
    elif kind == "function_call":
        arguments = _text(item.arguments, f"{place}.arguments")
        call = ToolCall(
            _required(item.call_id, f"{place}.call_id"),
            FunctionCall(_required(item.name, f"{place}.name"), arguments),
        )
        if not messages or messages[-1].role != "assistant":
            messages.append(Message("assistant"))
        last = messages.pop()
        messages.append(msgspec.structs.replace(last, tool_calls=(*(last.tool_calls or ()), call)))
    elif kind == "function_call_output":
        if item.call_id is None:
            raise unsupported(f"{place}.call_id", f"{place}: an output without the id of its call")
        messages.append(Message("tool", _content(item.output, f"{place}.output"), tool_call_id=item.call_id))
    else:
        raise unsupported(f"{place}.type", f"{place}: anything but messages, function calls and their outputs")


def _message(item: InputItem, place: str) -> Message:
    role = _required(item.role, f"{place}.role")
    if role not in ROLES:
        raise invalid_request(f"{place}.role: not one of the allowed values.", f"{place}.role")
    return Message(role, _content(item.content, f"{place}.content"))


def _text(value: Any, place: str) -> str:
    if not isinstance(_required(value, place), str):
        raise invalid_request(f"{place}: expected a text.", place)
    return str(value)


def _content(value: Any, place: str) -> str | tuple[ContentPart, ...]:
    if isinstance(_required(value, place), str):
        return str(value)
    try:
        parts = msgspec.convert(value, tuple[InputPart, ...])
    except msgspec.ValidationError as error:
        raise named(str(error), within=place) from error
    if len(parts) > MAX_MESSAGES:
        raise invalid_request(f"{place}: more than {MAX_MESSAGES} parts.", place)
    return tuple(_part(part, f"{place}[{number}]") for number, part in enumerate(parts))


def _part(part: InputPart, place: str) -> ContentPart:
    if part.type == "refusal":
        return ContentPart("refusal", refusal=_required(part.refusal, f"{place}.refusal"))
    if part.type not in TEXT_PARTS:
        raise unsupported(f"{place}.type", f"{place}: content other than text")
    return ContentPart("text", _required(part.text, f"{place}.text"))


def _tools(tools: Iterable[FunctionTool], place: str) -> tuple[Tool, ...]:
    return tuple(_tool(tool, f"{place}[{index}]") for index, tool in enumerate(tools))


def _tool(tool: FunctionTool, place: str) -> Tool:
    if tool.type != "function":
        raise unsupported(f"{place}.type", f"{place}: a tool that is no function")
    name = _required(tool.name, f"{place}.name")
    return Tool(FunctionDefinition(name, tool.description, tool.parameters, tool.strict))


def _tool_choice(choice: str | FunctionChoice | None) -> str | ToolChoice | None:
    if choice is None or isinstance(choice, str):
        return choice
    if choice.type == "function":
        return ToolChoice("function", NamedFunction(_required(choice.name, "tool_choice.name")))
    if choice.type == "allowed_tools":
        tools = _tools(_required(choice.tools, "tool_choice.tools"), "tool_choice.tools")
        return ToolChoice("allowed_tools", allowed_tools=AllowedTools(choice.mode or "auto", tools))
    raise unsupported("tool_choice.type", "tool_choice: a tool that is no function")


def _format(given: TextFormat | None) -> ResponseFormat | None:
    if given is None or given.type == "text":
        return None
    if given.type == "json_object":
        return ResponseFormat("json_object")
    if given.type != "json_schema":
        raise invalid_request("text.format.type: not one of text, json_object, json_schema.", "text.format.type")
    name = _required(given.name, "text.format.name")
    schema = _required(given.schema, "text.format.schema")
    return ResponseFormat("json_schema", JsonSchema(name, schema, given.description, given.strict))


def _options(options: ResponseStreamOptions | None) -> StreamOptions | None:
    return None if options is None else StreamOptions(include_obfuscation=options.include_obfuscation)


def _required(value: Any, place: str) -> Any:
    if value is None:
        raise missing_field(place)
    return value
