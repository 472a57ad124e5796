"""The chat request: its shape, and reading it so that a mistake is named in words that its author understands.

Fields that this service does not know are ignored, never refused: clients send new ones every month. Known ones are
typed and bounded, and what changes the answer but cannot be honoured here is refused with its name (`n` above 1,
`logprobs`, content parts that are no text). `prompt` is our own: a template instead of, or before, the messages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from llmops_sidecars.openai.errors import ApiError, invalid_json, invalid_request, unsupported

MAX_DEPTH = 32
"""Levels of objects and arrays inside a free-form field."""

MAX_STOP_WORDS = 16
MAX_MESSAGES = 2048
MAX_TOOLS = 128

T = TypeVar("T")
Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
TokenLimit = Annotated[int, Meta(ge=1, le=2**31 - 1)]
StopWord = Annotated[str, Meta(min_length=1, max_length=256)]


class ContentPart(Struct, frozen=True, omit_defaults=True):
    """A piece of a message; only texts and refusals are taken, `require_text` refuses the others."""

    type: str
    text: str | None = None
    refusal: str | None = None


Content = str | tuple[ContentPart, ...] | None


class FunctionCall(Struct, frozen=True):
    """What an assistant called; `arguments` is JSON in a string, as the model wrote it."""

    name: str
    arguments: str


class ToolCall(Struct, frozen=True):
    """A call in a whole message; chunks carry `ToolCallDelta`."""

    id: str
    function: FunctionCall
    type: Literal["function"] = "function"


class Message(Struct, frozen=True, omit_defaults=True):
    """One message of a conversation; content is missing or null beside tool calls."""

    role: Role
    content: Content = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    tool_call_id: str | None = None


class FunctionDefinition(Struct, frozen=True, omit_defaults=True):
    """A function that the model may call; `parameters` is a JSON schema."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Struct, frozen=True):
    """A tool that the model may use."""

    function: FunctionDefinition
    type: Literal["function"]


class StreamOptions(Struct, frozen=True, omit_defaults=True):
    """`include_usage` asks for a last chunk without choices that has the usage."""

    include_usage: bool | None = None


class PromptReference(Struct, frozen=True, omit_defaults=True):
    """A template of this service by its id, with values for its variables."""

    id: Annotated[str, Meta(min_length=1, max_length=253)]
    variables: dict[str, str | int | float | bool] = {}
    version: str | None = None


class ChatRequest(Struct, frozen=True, omit_defaults=True):
    """A chat completion request; `max_completion_tokens` is the newer name of `max_tokens` and wins."""

    model: Annotated[str, Meta(min_length=1)]
    messages: Annotated[tuple[Message, ...], Meta(max_length=MAX_MESSAGES)] = ()
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: TokenLimit | None = None
    max_completion_tokens: TokenLimit | None = None
    n: int | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    stop: StopWord | Annotated[tuple[StopWord, ...], Meta(max_length=MAX_STOP_WORDS)] | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    tools: Annotated[tuple[Tool, ...], Meta(max_length=MAX_TOOLS)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    user: str | None = None
    prompt: PromptReference | None = None

    @property
    def streams(self) -> bool:
        """Whether the client wants events."""
        return bool(self.stream)

    @property
    def wants_usage(self) -> bool:
        """Whether the client wants the usage chunk of a stream."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def output_tokens(self) -> int | None:
        """The most tokens that the client wants, None when it does not say."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def stop_words(self) -> tuple[str, ...]:
        """The stop words in one form."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else self.stop


_DECODER = msgspec.json.Decoder(ChatRequest)
_ENCODER = msgspec.json.Encoder()


def decode_request(body: bytes) -> ChatRequest:
    """Read a request; raises ApiError (400) that says which field is wrong and how."""
    request = decode_with(_DECODER, body)
    for require in (_require_input, _require_text, _require_one_choice, _require_no_logprobs, _require_shallow):
        require(request)
    return request


def encode_request(request: ChatRequest) -> bytes:
    """The request's JSON; fields at their defaults are left out."""
    return _ENCODER.encode(request)


def message_text(message: Message) -> str:
    """All text of a message's content, its parts one after the other."""
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    return "".join(part.text or part.refusal or "" for part in message.content)


def decode_with(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Read a body; raises ApiError (400) that says which field is wrong and how."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _named(str(error)) from error
    except msgspec.DecodeError as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        raise invalid_json(reason[:1].lower() + reason[1:]) from error
    except UnicodeDecodeError as error:
        raise invalid_json(f"it is not UTF-8 (byte {error.start} of a string: {error.reason})") from error
    except RecursionError as error:
        raise invalid_json("it is nested too deeply") from error


def _named(message: str) -> ApiError:
    """Split msgspec's sentence `Expected … - at `$.messages[0].role`` into a field and what is wrong with it."""
    reason, _, place = message.partition(" - at `")
    field = place.removesuffix("`").removeprefix("$").removeprefix(".")
    if reason.startswith("Object missing required field `"):
        missing = reason.split("`")[1]
        path = f"{field}.{missing}" if field else missing
        return invalid_request(f"{path}: this field is required.", path, "missing_field")
    if reason.startswith("Invalid enum value"):
        reason = "Not one of the allowed values"
    if not field:
        return invalid_json(reason[:1].lower() + reason[1:])
    return invalid_request(f"{field}: {reason[:1].lower()}{reason[1:]}.", field)


def _require_input(request: ChatRequest) -> None:
    if not request.messages and request.prompt is None:
        raise invalid_request("messages: give at least one message, or a prompt template in 'prompt'.", "messages")


def _require_text(request: ChatRequest) -> None:
    for place, part in _parts(request):
        if part.type not in {"text", "refusal"}:
            raise unsupported(f"{place}.type", f"{place}: content other than text")
        if getattr(part, part.type) is None:
            raise invalid_request(
                f"{place}.{part.type}: this field is required.", f"{place}.{part.type}", "missing_field"
            )


def _parts(request: ChatRequest) -> Iterator[tuple[str, ContentPart]]:
    for index, message in enumerate(request.messages):
        if isinstance(message.content, tuple):
            for number, part in enumerate(message.content):
                yield f"messages[{index}].content[{number}]", part


def _require_one_choice(request: ChatRequest) -> None:
    if request.n is not None and request.n != 1:
        raise unsupported("n", "n: more than one answer per request")


def _require_no_logprobs(request: ChatRequest) -> None:
    """Log probabilities repeat the answer token by token, past the guard's window and its masks."""
    if request.logprobs:
        raise unsupported("logprobs", "logprobs: showing the probabilities of tokens")


def _require_shallow(request: ChatRequest) -> None:
    for field in ("tools", "tool_choice", "response_format"):
        if _depth_exceeds(msgspec.to_builtins(getattr(request, field)), MAX_DEPTH):
            raise invalid_request(f"{field}: nested more than {MAX_DEPTH} levels deep.", field)


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return False
    return True


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []
