"""`/v1/chat/completions`: the endpoint whose form is also the internal one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from llmops_sidecars.openai.answers import Delta, Usage, encode_answer
from llmops_sidecars.openai.assembly import Assembly
from llmops_sidecars.openai.chat import ChatRequest, decode_request
from llmops_sidecars.openai.endpoint import Head, Writer
from llmops_sidecars.openai.events import DONE, ChunkWriter


class ChatEndpoint:
    """The endpoint."""

    def read(self, body: bytes) -> ChatCall:
        """Read a request; raises ApiError."""
        return ChatCall(decode_request(body))


@dataclass(frozen=True)
class ChatCall:
    """One request."""

    request: ChatRequest

    @property
    def streams(self) -> bool:
        """Whether the client wants events."""
        return self.request.streams

    def writer(self, head: Head) -> Writer:
        """A writer for the answer as chunks."""
        return ChatWriter(head, usage=self.request.wants_usage)

    def document(self, head: Head, answer: Assembly) -> bytes:
        """The answer as one completion."""
        response = answer.response()
        return encode_answer(msgspec.structs.replace(response, id=_id(head), created=head.created, model=head.model))


class ChatWriter:
    """Writes chunks."""

    def __init__(self, head: Head, *, usage: bool) -> None:
        self._chunks, self._usage = ChunkWriter(_id(head), head.created, head.model), usage

    def begin(self) -> bytes:
        """The role."""
        return self._chunks.role()

    def more(self, deltas: Sequence[Delta]) -> bytes:
        """A chunk for each delta."""
        return b"".join(self._chunk(delta) for delta in deltas)

    def end(self, finish_reason: str, usage: Usage) -> bytes:
        """The finish reason, the usage where it was asked for, `[DONE]`."""
        return self._chunks.finish(finish_reason) + (self._chunks.usage(usage) if self._usage else b"") + DONE

    def _chunk(self, delta: Delta) -> bytes:
        return self._chunks.text(delta.content) if delta.content is not None else self._chunks.delta(delta)


def _id(head: Head) -> str:
    return f"chatcmpl-{head.request_id}"
