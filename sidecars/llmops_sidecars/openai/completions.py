"""`/v1/completions`, the API before chat: a prompt is one message, a list of prompts as many requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from llmops_sidecars.openai.answers import ChunkChoice, Logprobs, TokenLogprob, Usage
from llmops_sidecars.openai.assembly import AssembledChoice, Assembly
from llmops_sidecars.openai.chat import (
    MAX_BIASES,
    MAX_STOP_WORDS,
    MOST_CHOICES,
    Bias,
    ChatRequest,
    Message,
    Penalty,
    StopWord,
    StreamOptions,
)
from llmops_sidecars.openai.decoding import decode_with
from llmops_sidecars.openai.endpoint import Head
from llmops_sidecars.openai.errors import ApiError, invalid_request, unsupported
from llmops_sidecars.openai.events import DONE, PLACEHOLDER, TextEvent, encode_event, error_event, obfuscation
from llmops_sidecars.openai.terms import Terms

MOST_PROMPTS = 16
"""Prompts of one request: they are answered one after the other, in the request's one slot."""

DEFAULT_TOKENS = 16
"""What the specification says for requests that do not."""

REASONS = {"length": "length", "content_filter": "content_filter"}
"""Reasons that this API knows beside `stop`."""

Tokens = tuple[int, ...]


class CompletionRequest(Struct, frozen=True, omit_defaults=True):
    """A request; `logprobs` is how many alternatives are told. From `best_of` on: what is known only to be refused."""

    model: Annotated[str, Meta(min_length=1)]
    prompt: str | tuple[str | int | Tokens, ...] | None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    n: Annotated[int, Meta(ge=1, le=MOST_CHOICES)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    stop: StopWord | Annotated[tuple[StopWord, ...], Meta(max_length=MAX_STOP_WORDS)] | None = None
    logit_bias: Annotated[dict[str, Bias], Meta(max_length=MAX_BIASES)] | None = None
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None
    user: str | None = None
    best_of: int | None = None
    echo: bool | None = None
    suffix: str | None = None


class CompletionLogprobs(Struct, frozen=True):
    """A text's tokens, the log probability of each and of its alternatives, and where it begins in the text."""

    tokens: tuple[str, ...]
    token_logprobs: tuple[float, ...]
    top_logprobs: tuple[dict[str, float], ...]
    text_offset: tuple[int, ...]


class CompletionChoice(Struct, frozen=True):
    """One answer, or what a stream adds to it."""

    text: str
    index: int = 0
    logprobs: CompletionLogprobs | None = None
    finish_reason: str | None = None


class Completion(Struct, frozen=True):
    """The answer in one piece, or an event of a stream."""

    id: str
    created: int
    model: str
    choices: tuple[CompletionChoice, ...] = ()
    object: Literal["text_completion"] = "text_completion"
    usage: Usage | UnsetType | None = UNSET
    obfuscation: str | UnsetType = UNSET


_DECODER = msgspec.json.Decoder(CompletionRequest)
_ENCODER = msgspec.json.Encoder()


class CompletionEndpoint:
    """The endpoint."""

    def read(self, body: bytes) -> CompletionCall:
        """Read a request; raises ApiError."""
        request = decode_with(_DECODER, body)
        _require_supported(request)
        return CompletionCall(request, tuple(_chat(request, prompt) for prompt in _prompts(request)))


@dataclass(frozen=True)
class CompletionCall:
    """One request."""

    request: CompletionRequest
    requests: tuple[ChatRequest, ...]
    terms: Terms = Terms()  # noqa: RUF009 - frozen
    default_tokens: int | None = DEFAULT_TOKENS

    @property
    def streams(self) -> bool:
        """Whether the client wants events."""
        return bool(self.request.stream)

    def writer(self, head: Head) -> CompletionWriter:
        """A writer for the answer as events."""
        return CompletionWriter(head, self.requests[0])

    def document(self, head: Head, answer: Assembly) -> bytes:
        """The answer as one completion."""
        choices = tuple(_choice(choice) for choice in answer.choices())
        return _ENCODER.encode(Completion(_id(head), head.created, head.model, choices, usage=answer.usage))


class CompletionWriter:
    """Writes events."""

    def __init__(self, head: Head, request: ChatRequest) -> None:
        self._usage, self._obfuscates = request.wants_usage, request.wants_obfuscation
        self._empty = Completion(_id(head), head.created, head.model, usage=None if self._usage else UNSET)
        self._text = TextEvent(self._event(CompletionChoice(PLACEHOLDER)))
        self._offsets: dict[int, int] = {}

    def begin(self) -> bytes:
        """Nothing: choices begin with their text."""
        return b""

    def more(self, choices: Sequence[ChunkChoice]) -> bytes:
        """An event for each that says something."""
        return b"".join(map(self._more, choices))

    def end(self, usage: Usage) -> bytes:
        """The usage where it was asked for, `[DONE]`."""
        told = encode_event(_ENCODER.encode(msgspec.structs.replace(self._empty, usage=usage)))
        return (told if self._usage else b"") + DONE

    def fail(self, error: ApiError) -> bytes:
        """The error's envelope."""
        return error_event(error)

    def _more(self, choice: ChunkChoice) -> bytes:
        text = choice.delta.content or choice.delta.refusal or ""
        plain = choice.index == 0 and choice.logprobs is UNSET and choice.finish_reason is None
        if plain and not self._obfuscates:
            return self._text(text) if text else b""
        logprobs = self._logprobs(choice)
        if not text and logprobs is None and choice.finish_reason is None:
            return b""
        reason = None if choice.finish_reason is None else REASONS.get(choice.finish_reason, "stop")
        return self._event(CompletionChoice(text, choice.index, logprobs, reason))

    def _logprobs(self, choice: ChunkChoice) -> CompletionLogprobs | None:
        if not isinstance(choice.logprobs, Logprobs):
            return None
        items = (*(choice.logprobs.content or ()), *(choice.logprobs.refusal or ()))
        begin = self._offsets.get(choice.index, 0)
        self._offsets[choice.index] = begin + sum(len(item.token) for item in items)
        return _legacy(items, begin)

    def _event(self, choice: CompletionChoice) -> bytes:
        event = msgspec.structs.replace(self._empty, choices=(choice,))
        encoded = encode_event(_ENCODER.encode(event))
        if not self._obfuscates:
            return encoded
        return encode_event(_ENCODER.encode(msgspec.structs.replace(event, obfuscation=obfuscation(len(encoded)))))


def _require_supported(request: CompletionRequest) -> None:
    if request.max_tokens == 0:
        raise unsupported("max_tokens", "max_tokens: an answer of no tokens")
    if request.echo:
        raise unsupported("echo", "echo: the prompt in the answer")
    if request.suffix:
        raise unsupported("suffix", "suffix: text after the answer")
    if request.best_of is not None and request.best_of != (request.n or 1):
        raise unsupported("best_of", "best_of: choosing from more answers than are told; leave it out")


def _prompts(request: CompletionRequest) -> tuple[str, ...]:
    if request.prompt is None:
        raise unsupported("prompt", "prompt: an answer to nothing")
    if isinstance(request.prompt, str):
        return (request.prompt,)
    texts = tuple(prompt for prompt in request.prompt if isinstance(prompt, str))
    if len(texts) < len(request.prompt):
        raise unsupported("prompt", "prompt: token ids, which no policy can read; send text")
    most = MOST_PROMPTS // (request.n or 1)
    if not 1 <= len(texts) <= most:
        raise invalid_request(
            f"prompt: from 1 to {most} prompts can be sent here, with this n of {request.n or 1}.", "prompt"
        )
    return texts


def _chat(request: CompletionRequest, prompt: str) -> ChatRequest:
    """One prompt in the internal form."""
    return ChatRequest(
        model=request.model,
        messages=(Message("user", prompt),),
        stream=request.stream,
        stream_options=request.stream_options,
        max_tokens=request.max_tokens,
        n=request.n,
        seed=request.seed,
        temperature=request.temperature,
        top_p=request.top_p,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        stop=request.stop,
        logit_bias=request.logit_bias,
        logprobs=None if request.logprobs is None else True,
        top_logprobs=request.logprobs or None,
        user=request.user,
    )


def _choice(choice: AssembledChoice) -> CompletionChoice:
    logprobs, reason = choice.logprobs, REASONS.get(choice.finish_reason or "", "stop")
    items = () if logprobs is None else (*(logprobs.content or ()), *(logprobs.refusal or ()))
    text = choice.text + choice.refusal
    return CompletionChoice(text, choice.index, _legacy(items, 0) if items else None, reason)


def _legacy(items: Sequence[TokenLogprob], begin: int) -> CompletionLogprobs:
    offsets, place = [], begin
    for item in items:
        offsets.append(place)
        place += len(item.token)
    return CompletionLogprobs(
        tokens=tuple(item.token for item in items),
        token_logprobs=tuple(item.logprob for item in items),
        top_logprobs=tuple({one.token: one.logprob for one in item.top_logprobs} for item in items),
        text_offset=tuple(offsets),
    )


def _id(head: Head) -> str:
    return f"cmpl-{head.request_id}"
