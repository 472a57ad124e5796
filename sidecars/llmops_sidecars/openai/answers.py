"""What comes back: chunks of a stream, whole responses, the list of models.

Chunks are read leniently (providers leave fields out and add others) and always written whole: `finish_reason` is
there as null until the end, `usage` only where there is one, and fields that are not named here are not passed on.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from llmops_sidecars.openai.chat import ToolCall
from llmops_sidecars.openai.errors import ErrorBody, engine_failed, event_error


class Usage(Struct, frozen=True):
    """Tokens of one request, as the engine counts them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.total_tokens + other.total_tokens,
        )


class FunctionDelta(Struct, frozen=True, omit_defaults=True):
    """A piece of a call: the name comes once, the arguments in pieces of one JSON string."""

    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(Struct, frozen=True, omit_defaults=True):
    """A piece of one of the calls; `index` says which. Clients fail without it, so it has no default."""

    index: int
    id: str | None = None
    type: str | None = None
    function: FunctionDelta | None = None


class Delta(Struct, frozen=True, omit_defaults=True):
    """What a chunk adds to the answer."""

    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    tool_calls: tuple[ToolCallDelta, ...] | None = None


class LikelyToken(Struct, frozen=True):
    """A token with its natural log probability, and its UTF-8 bytes: a token may be a part of a character."""

    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None


class TokenLogprob(LikelyToken, frozen=True):
    """A token of an answer, and the likeliest ones in its place, as many as were asked for."""

    top_logprobs: tuple[LikelyToken, ...] = ()


class Logprobs(Struct, frozen=True):
    """The log probabilities of a text's tokens, and of a refusal's."""

    content: tuple[TokenLogprob, ...] | None = None
    refusal: tuple[TokenLogprob, ...] | None = None


class ChunkChoice(Struct, frozen=True):
    """The answer that a chunk adds to; `finish_reason` is null until the end, `logprobs` only where asked for."""

    index: int = 0
    delta: Delta = Delta()
    finish_reason: str | None = None
    logprobs: Logprobs | UnsetType | None = UNSET


class Chunk(Struct, frozen=True):
    """One event of a stream; the one with the usage has no choices."""

    id: str = ""
    created: int = 0
    model: str = ""
    choices: tuple[ChunkChoice, ...] = ()
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    usage: Usage | UnsetType | None = UNSET
    obfuscation: str | UnsetType = UNSET

    @property
    def tokens(self) -> Usage | None:
        """The usage, where this chunk has one."""
        return self.usage if isinstance(self.usage, Usage) else None

    @property
    def text(self) -> str:
        """The text of a chunk that does nothing but go on with the first choice's content; empty for any other."""
        if len(self.choices) != 1 or self.tokens is not None:
            return ""
        choice = self.choices[0]
        if choice.index or choice.finish_reason or isinstance(choice.logprobs, Logprobs):
            return ""
        delta = choice.delta
        return "" if delta.refusal or delta.tool_calls else delta.content or ""


class AnswerMessage(Struct, frozen=True):
    """The assistant's message; content is null beside tool calls."""

    content: str | None
    refusal: str | None = None
    role: Literal["assistant"] = "assistant"
    tool_calls: tuple[ToolCall, ...] | UnsetType = UNSET


class Choice(Struct, frozen=True):
    """One whole answer."""

    message: AnswerMessage
    finish_reason: str
    index: int = 0
    logprobs: Logprobs | None = None


class ChatResponse(Struct, frozen=True):
    """The answer to a request that does not stream."""

    id: str
    created: int
    model: str
    choices: tuple[Choice, ...]
    usage: Usage = Usage()
    object: Literal["chat.completion"] = "chat.completion"


class Model(Struct, frozen=True):
    """An entry of the list of models; `created` is in seconds since the epoch."""

    id: str
    created: int
    owned_by: str = "llmops"
    object: Literal["model"] = "model"


class ModelList(Struct, frozen=True):
    """The answer to `/v1/models`."""

    data: tuple[Model, ...]
    object: Literal["list"] = "list"


class _Event(Chunk, frozen=True):
    """What an event may be: a chunk, or an error in its place."""

    error: ErrorBody | None = None


_DECODER = msgspec.json.Decoder(_Event)
_ENCODER = msgspec.json.Encoder()


def decode_chunk(data: bytes) -> Chunk:
    """Read an event's data; raises ApiError for an error event, and `engine_failed` for what is neither."""
    try:
        event = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise engine_failed("The model's answer has an event of unknown shape.") from error
    if event.error is not None:
        raise event_error(event.error)
    return event


def encode_answer(answer: Chunk | ChatResponse | ModelList | Model) -> bytes:
    """The JSON of anything that is answered with."""
    return _ENCODER.encode(answer)
