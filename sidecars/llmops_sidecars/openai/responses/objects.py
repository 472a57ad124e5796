"""What `/v1/responses` answers with: the response, its items, and what a stream tells of them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from llmops_sidecars.openai.answers import LikelyToken, Logprobs, TokenLogprob, Usage
from llmops_sidecars.openai.chat import ToolCall
from llmops_sidecars.openai.endpoint import Head
from llmops_sidecars.openai.errors import ApiError
from llmops_sidecars.openai.responses.request import (
    FunctionChoice,
    FunctionTool,
    PromptTemplate,
    Reasoning,
    ResponsesRequest,
    TextFormat,
    TextSettings,
)

Status = Literal["in_progress", "completed", "incomplete", "failed"]

INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why a response ended before its end, by finish reason."""


class TopToken(Struct, frozen=True):
    """A token that could have stood in another's place."""

    token: str
    logprob: float
    bytes: tuple[int, ...]


class Token(Struct, frozen=True):
    """A token with its log probability, and the likeliest ones in its place."""

    token: str
    logprob: float
    bytes: tuple[int, ...]
    top_logprobs: tuple[TopToken, ...] = ()


class OutputText(Struct, frozen=True, tag_field="type", tag="output_text"):
    """A part of a message that is text."""

    text: str
    annotations: tuple[()] = ()
    logprobs: tuple[Token, ...] = ()


class Refusal(Struct, frozen=True, tag_field="type", tag="refusal"):
    """A part of a message that refuses."""

    refusal: str


Part = OutputText | Refusal


class OutputMessage(Struct, frozen=True, tag_field="type", tag="message"):
    """A message of the model."""

    id: str
    status: Status
    content: tuple[Part, ...] = ()
    role: Literal["assistant"] = "assistant"


class FunctionToolCall(Struct, frozen=True, tag_field="type", tag="function_call"):
    """A call of a function."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: Status


Item = OutputMessage | FunctionToolCall


class InputDetails(Struct, frozen=True):
    """Of the input tokens; caches of engines are not told."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputDetails(Struct, frozen=True):
    """Of the output tokens; engines do not tell them apart."""

    reasoning_tokens: int = 0


class ResponseUsage(Struct, frozen=True):
    """Tokens of one response, as the engine counts them."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputDetails = InputDetails()
    output_tokens_details: OutputDetails = OutputDetails()


class IncompleteDetails(Struct, frozen=True):
    """Why a response ended before its end."""

    reason: str


class ResponseFailure(Struct, frozen=True):
    """Why a response failed."""

    code: str
    message: str


class Response(Struct, frozen=True):
    """A response, and what was asked for."""

    id: str
    created_at: int
    status: Status
    model: str
    output: tuple[Item, ...] = ()
    error: ResponseFailure | None = None
    incomplete_details: IncompleteDetails | None = None
    usage: ResponseUsage | UnsetType = UNSET
    object: Literal["response"] = "response"
    background: bool = False
    instructions: str | None = None
    max_output_tokens: int | None = None
    metadata: dict[str, str] = {}
    parallel_tool_calls: bool = True
    previous_response_id: None = None
    prompt: PromptTemplate | None = None
    reasoning: Reasoning = Reasoning()
    safety_identifier: str | None = None
    service_tier: Literal["default"] = "default"
    store: bool = False
    temperature: float | None = None
    text: TextSettings = TextSettings()
    tool_choice: str | FunctionChoice = "auto"
    tools: tuple[FunctionTool, ...] = ()
    top_logprobs: int = 0
    top_p: float | None = None
    truncation: Literal["disabled"] = "disabled"
    user: str | UnsetType = UNSET


def begun(head: Head, request: ResponsesRequest) -> Response:
    """The response to a request before it says anything."""
    text = request.text or TextSettings()
    return Response(
        id=response_id(head),
        created_at=head.created,
        status="in_progress",
        model=head.model,
        instructions=request.instructions,
        max_output_tokens=request.max_output_tokens,
        metadata=request.metadata or {},
        parallel_tool_calls=request.parallel_tool_calls is not False,
        prompt=request.prompt,
        reasoning=Reasoning(request.reasoning.effort) if request.reasoning else Reasoning(),
        safety_identifier=request.safety_identifier,
        temperature=request.temperature,
        text=msgspec.structs.replace(text, format=text.format or TextFormat("text")),
        tool_choice=request.tool_choice or "auto",
        tools=request.tools or (),
        top_logprobs=request.top_logprobs or 0,
        top_p=request.top_p,
        user=request.user or UNSET,
    )


def ended(response: Response, items: tuple[Item, ...], finish_reason: str, usage: Usage) -> Response:
    """The response once it has ended."""
    reason = INCOMPLETE.get(finish_reason)
    return msgspec.structs.replace(
        response,
        status="completed" if reason is None else "incomplete",
        output=items,
        incomplete_details=None if reason is None else IncompleteDetails(reason),
        usage=ResponseUsage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens),
    )


def failed(response: Response, items: tuple[Item, ...], error: ApiError) -> Response:
    """The response once it has failed."""
    code = "rate_limit_exceeded" if error.body.type == "rate_limit_error" else "server_error"
    failure = ResponseFailure(code, error.body.message)
    return msgspec.structs.replace(response, status="failed", output=items, error=failure)


def item_status(finish_reason: str) -> Status:
    """How an item ends."""
    return "incomplete" if finish_reason in INCOMPLETE else "completed"


def response_id(head: Head) -> str:
    """The id of a response."""
    return f"resp_{head.request_id}"


def message_id(head: Head) -> str:
    """The id of a response's message."""
    return f"msg_{head.request_id}"


def call_item(head: Head, number: int, call: ToolCall, status: Status) -> FunctionToolCall:
    """A call as an item."""
    name, arguments = (call.function.name, call.function.arguments) if call.function else ("", "")
    return FunctionToolCall(f"fc_{head.request_id}_{number}", call.id, name, arguments, status)


def tokens(logprobs: Logprobs | Any) -> tuple[Token, ...]:
    """The log probabilities of a text."""
    items: tuple[TokenLogprob, ...] = (logprobs.content or ()) if isinstance(logprobs, Logprobs) else ()
    return tuple(
        Token(
            item.token,
            item.logprob,
            _bytes(item),
            tuple(TopToken(one.token, one.logprob, _bytes(one)) for one in item.top_logprobs),
        )
        for item in items
    )


def _bytes(token: LikelyToken) -> tuple[int, ...]:
    return tuple(token.token.encode()) if token.bytes is None else token.bytes
