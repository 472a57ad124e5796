"""`/v1/chat/completions`: the endpoint whose form is also the internal one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import UNSET

from llmops_sidecars.openai.answers import AnswerMessage, ChatResponse, Choice, ChunkChoice, Usage, encode_answer
from llmops_sidecars.openai.assembly import AssembledChoice, Assembly
from llmops_sidecars.openai.chat import ChatRequest
from llmops_sidecars.openai.chat_checks import decode_request, narrowed, terms_of
from llmops_sidecars.openai.endpoint import Head
from llmops_sidecars.openai.errors import ApiError
from llmops_sidecars.openai.events import DONE, ChunkWriter, error_event, obfuscation
from llmops_sidecars.openai.terms import Terms


class ChatEndpoint:
    """The endpoint."""

    def read(self, body: bytes) -> ChatCall:
        """Read a request; raises ApiError."""
        request = decode_request(body)
        return ChatCall((narrowed(request),), terms_of(request))


@dataclass(frozen=True)
class ChatCall:
    """One request."""

    requests: tuple[ChatRequest]
    terms: Terms
    default_tokens: int | None = None

    @property
    def streams(self) -> bool:
        """Whether the client wants events."""
        return self.requests[0].streams

    def writer(self, head: Head) -> ChatWriter:
        """A writer for the answer as chunks."""
        return ChatWriter(head, self.requests[0])

    def document(self, head: Head, answer: Assembly) -> bytes:
        """The answer as one completion."""
        choices = tuple(_choice(choice) for choice in answer.choices())
        return encode_answer(ChatResponse(_id(head), head.created, head.model, choices, answer.usage))


class ChatWriter:
    """Writes chunks."""

    def __init__(self, head: Head, request: ChatRequest) -> None:
        self._usage, self._choices = request.wants_usage, request.choices
        self._chunks = ChunkWriter(_id(head), head.created, head.model, usage=request.wants_usage)
        self._obfuscates = request.wants_obfuscation

    def begin(self) -> bytes:
        """The role of each choice."""
        return b"".join(self._chunks.role(index) for index in range(self._choices))

    def more(self, choices: Sequence[ChunkChoice]) -> bytes:
        """A chunk for each."""
        return b"".join(map(self._obfuscated if self._obfuscates else self._plain, choices))

    def end(self, usage: Usage) -> bytes:
        """The usage where it was asked for, `[DONE]`."""
        return (self._chunks.usage(usage) if self._usage else b"") + DONE

    def fail(self, error: ApiError) -> bytes:
        """The error's envelope."""
        return error_event(error)

    def _plain(self, choice: ChunkChoice) -> bytes:
        content = choice.delta.content
        if content is not None and choice.index == 0 and choice.logprobs is UNSET:
            return self._chunks.text(content)
        return self._chunks.choice(choice)

    def _obfuscated(self, choice: ChunkChoice) -> bytes:
        return self._chunks.choice(choice, obfuscation(len(self._chunks.choice(choice))))


def _choice(choice: AssembledChoice) -> Choice:
    calls = choice.calls
    message = AnswerMessage(choice.text or (None if calls or choice.refusal else ""), choice.refusal or None)
    if calls:
        message = AnswerMessage(message.content, message.refusal, tool_calls=calls)
    return Choice(message, choice.finish_reason or "stop", choice.index, choice.logprobs)


def _id(head: Head) -> str:
    return f"chatcmpl-{head.request_id}"
