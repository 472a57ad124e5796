"""The chat request: its shape. It is what clients send, and the internal form of every other endpoint's requests.

Fields that this service does not know are ignored, never refused: clients send new ones every month. Known ones are
typed and bounded, and what changes the answer but cannot be honoured here is refused with its name (`chat_checks`).
`prompt` is our own: a template instead of, or before, the messages.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from llmops_sidecars.openai.decoding import decode_with

MOST_CHOICES = 4
"""Choices of one request: each is a generation of its own."""

MOST_ALTERNATIVES = 20
"""Tokens told for each place of an answer, as in the specification."""

MAX_STOP_WORDS = 16
MAX_MESSAGES = 2048
MAX_TOOLS = 128
MAX_BIASES = 1024

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
TokenLimit = Annotated[int, Meta(ge=1, le=2**31 - 1)]
StopWord = Annotated[str, Meta(min_length=1, max_length=256)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Bias = Annotated[float, Meta(ge=-100, le=100)]
Words = Literal["text", "audio"]
Verbosity = Literal["low", "medium", "high"]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class ContentPart(Struct, frozen=True, omit_defaults=True):
    """A piece of a message; only texts and refusals are taken, the others are refused by name."""

    type: str
    text: str | None = None
    refusal: str | None = None


Content = str | tuple[ContentPart, ...] | None


class FunctionCall(Struct, frozen=True):
    """What an assistant called; `arguments` is JSON in a string, as the model wrote it."""

    name: str
    arguments: str


class ToolCall(Struct, frozen=True):
    """A call in a whole message; chunks carry `ToolCallDelta`. Only calls of functions are taken."""

    id: str
    function: FunctionCall | None = None
    type: str = "function"


class Message(Struct, frozen=True, omit_defaults=True):
    """One message of a conversation; content is missing or null beside tool calls."""

    role: Role
    content: Content = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: Annotated[tuple[ToolCall, ...], Meta(max_length=MAX_TOOLS)] | None = None
    tool_call_id: str | None = None
    function_call: Any | None = None
    audio: Any | None = None


class FunctionDefinition(Struct, frozen=True, omit_defaults=True):
    """A function that the model may call; `parameters` is a JSON schema."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Struct, frozen=True):
    """A tool that the model may use; only functions are taken."""

    function: FunctionDefinition | None = None
    type: str = "function"


class NamedFunction(Struct, frozen=True):
    """The name of one of the functions."""

    name: str


class AllowedTools(Struct, frozen=True):
    """Some of the tools, and whether one of them has to be used."""

    mode: Literal["auto", "required"]
    tools: Annotated[tuple[Tool, ...], Meta(max_length=MAX_TOOLS)]


class ToolChoice(Struct, frozen=True, omit_defaults=True):
    """One function that has to be called, or some tools of which one may."""

    type: str
    function: NamedFunction | None = None
    allowed_tools: AllowedTools | None = None


class JsonSchema(Struct, frozen=True, omit_defaults=True):
    """A schema for the answer; it is held against it whether it is called strict or not."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(Struct, frozen=True, omit_defaults=True):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(Struct, frozen=True, omit_defaults=True):
    """`include_usage` asks for a last chunk with the usage, `include_obfuscation` for chunks of like sizes."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class PromptReference(Struct, frozen=True, omit_defaults=True):
    """A template of this service by its id, with values for its variables.

    `version`: 8 or more digits of the digest of its content, `stable`, or the newest when it is left out.
    """

    id: Annotated[str, Meta(min_length=1, max_length=253)]
    variables: dict[str, str | int | float | bool | tuple[str, ...]] | None = None
    version: str | None = None


class ChatRequest(Struct, frozen=True, omit_defaults=True):
    """A chat completion request; `max_completion_tokens` is the newer name of `max_tokens` and wins.

    From `audio` on: what is known only to be refused.
    """

    model: Annotated[str, Meta(min_length=1)]
    messages: Annotated[tuple[Message, ...], Meta(max_length=MAX_MESSAGES)] = ()
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: TokenLimit | None = None
    max_completion_tokens: TokenLimit | None = None
    n: Annotated[int, Meta(ge=1, le=MOST_CHOICES)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    stop: StopWord | Annotated[tuple[StopWord, ...], Meta(max_length=MAX_STOP_WORDS)] | None = None
    logit_bias: Annotated[dict[str, Bias], Meta(max_length=MAX_BIASES)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=MOST_ALTERNATIVES)] | None = None
    tools: Annotated[tuple[Tool, ...], Meta(max_length=MAX_TOOLS)] | None = None
    tool_choice: str | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: ReasoningEffort | None = None
    verbosity: Verbosity | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt: PromptReference | None = None
    store: bool | None = None
    modalities: tuple[Words, ...] | None = None
    audio: Any | None = None
    functions: Any | None = None
    function_call: Any | None = None
    moderation: Any | None = None
    web_search_options: Any | None = None

    @property
    def streams(self) -> bool:
        """Whether the client wants events."""
        return bool(self.stream)

    @property
    def wants_usage(self) -> bool:
        """Whether the client wants the usage chunk of a stream."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def wants_obfuscation(self) -> bool:
        """Whether the client wants chunks whose sizes say little about their texts."""
        return self.stream_options is not None and bool(self.stream_options.include_obfuscation)

    @property
    def choices(self) -> int:
        """How many choices are to be generated."""
        return self.n or 1

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


def decode_shape(body: bytes) -> ChatRequest:
    """Read a request by its shape alone; raises ApiError (400) that says which field is wrong and how."""
    return decode_with(_DECODER, body)


def encode_request(request: ChatRequest) -> bytes:
    """The request's JSON; fields at their defaults are left out."""
    return _ENCODER.encode(request)


def message_text(message: Message) -> str:
    """All text of a message's content, its parts one after the other."""
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    return "".join(part.text or part.refusal or "" for part in message.content)
