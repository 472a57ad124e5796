"""What every driver does: it turns one request into pieces of an answer, as they come.

A driver raises ApiError for what a client may read, and EngineUnavailableError when the engine has not begun to answer,
so that trying again repeats nothing that anyone has seen. Leaving the iterator (`aclose`, a cancelled task) cancels the
generation.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Protocol

from msgspec import Struct

from llmops_sidecars.openai.answers import TokenLogprob, ToolCallDelta, Usage
from llmops_sidecars.openai.chat import ChatRequest, Message
from llmops_sidecars.openai.embeddings import EmbeddingsRequest
from llmops_sidecars.proxy.deadline import Deadline

DEFAULT_OUTPUT_TOKENS = 1024
"""For Triton, when neither the client nor the template says: its model's own default of 32 cuts nearly every answer."""

PROBE_PROMPT = "Hello"

SETTLE_SECONDS = 0.5
"""How long the end of a stream may take after the last piece; closing it earlier would be a cancellation."""


class EngineUnavailableError(Exception):
    """The engine has not begun to answer: nobody listens, it says so (503), or it was cut before its first event."""


class GenerateRequest(Struct, frozen=True):
    """What is to be generated. `output_tokens` is the most that this service allows for one choice."""

    id: str
    chat: ChatRequest
    output_tokens: int

    @property
    def n(self) -> int:
        """How many choices are to be generated."""
        return self.chat.n or 1

    def tokens_or(self, default: int) -> int:
        """The most tokens for one choice: what the client wants or the default, within what is allowed."""
        return min(self.chat.output_tokens or default, self.output_tokens)


class Piece(Struct, frozen=True):
    """A part of an answer: of its choice `index`, of which there are `GenerateRequest.n`.

    `tokens` is how many tokens it stands for, as far as the driver can tell. `finish_reason` ends the choice, with
    `stop_word` where the engine says which one it met; `usage` comes from engines that count themselves, for all
    choices together. `logprobs` are those of the piece's own tokens, where they were asked for.
    """

    text: str = ""
    tokens: int = 0
    finish_reason: str | None = None
    stop_word: str | None = None
    refusal: str | None = None
    tool_calls: tuple[ToolCallDelta, ...] | None = None
    usage: Usage | None = None
    index: int = 0
    logprobs: tuple[TokenLogprob, ...] | None = None


class EmbedRequest(Struct, frozen=True):
    """What is to be turned into vectors."""

    id: str
    embeddings: EmbeddingsRequest


class Vectors(Struct, frozen=True):
    """The vectors of a request's inputs, in their order, and how many tokens those had, 0 where nobody says."""

    vectors: tuple[tuple[float, ...], ...]
    tokens: int = 0


def merged(pieces: Iterable[Piece]) -> list[Piece]:
    """The pieces, with texts of one choice that follow each other as one; what says more than text stays apart."""
    result: list[Piece] = []
    goes_on = False
    for piece in pieces:
        is_text = _is_text(piece)
        if goes_on and is_text and result[-1].index == piece.index:
            before = result[-1]
            result[-1] = Piece(before.text + piece.text, before.tokens + piece.tokens, index=piece.index)
        else:
            result.append(piece)
        goes_on = is_text
    return result


def _is_text(piece: Piece) -> bool:
    return piece == Piece(piece.text, piece.tokens, index=piece.index)


class Driver(Protocol):
    """An engine. Drivers connect when they are used and again after `close`."""

    def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece]:
        """The answer, piece by piece; a stream that ends without a finish reason for each choice was cut."""

    async def embed(self, request: EmbedRequest) -> Vectors:
        """The vectors of a request's inputs; raises ApiError (400) where the engine makes none."""

    async def probe(self) -> None:
        """Return once the engine has shown that it answers; raises as `generate`."""

    async def close(self) -> None:
        """Close connections."""


async def generate_one_token(driver: Driver) -> None:
    """A probe for engines that cost nothing: one token, which shows more than any health endpoint of theirs."""
    chat = ChatRequest("probe", (Message("user", PROBE_PROMPT),), temperature=0.0)
    async with contextlib.aclosing(driver.generate(GenerateRequest("", chat, output_tokens=1))) as pieces:
        async for _ in pieces:
            pass


async def settle(read: Callable[[], Awaitable[object]]) -> None:
    """Let a stream end by itself after its last piece, for a short while: until a read gives nothing."""
    with contextlib.suppress(TimeoutError), Deadline(SETTLE_SECONDS):
        while await read():
            pass
