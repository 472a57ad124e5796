"""From pieces to events: what a client sees of one generation, whatever the engine."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

import msgspec

from llmops_sidecars.engine.driver import GenerateRequest, Piece
from llmops_sidecars.engine.text import StopWords
from llmops_sidecars.openai.answers import Delta, Usage
from llmops_sidecars.openai.errors import engine_failed
from llmops_sidecars.openai.events import DONE, ChunkWriter


async def answer_events(
    pieces: AsyncGenerator[Piece], writer: ChunkWriter, request: GenerateRequest
) -> AsyncGenerator[bytes]:
    """The events of an answer: role, text as it comes, finish reason, usage, `[DONE]`.

    Nothing is yielded before the first piece, so that an error before it can still be a status. Raises ApiError as the
    driver does, and `engine_failed` for a stream that ends without a finish reason: it was cut.
    """
    before, given, tokens = writer.role(), None, 0
    async with contextlib.aclosing(bounded(pieces, request)) as answer:
        async for piece in answer:
            yield before + _events(piece, writer)
            before, given, tokens = b"", piece.usage or given, tokens + piece.tokens
            if piece.finish_reason is not None:
                yield writer.finish(piece.finish_reason) + writer.usage(given or counted(tokens)) + DONE
                return
    raise engine_failed("The model's answer ended before it was complete.")


async def bounded(pieces: AsyncGenerator[Piece], request: GenerateRequest) -> AsyncGenerator[Piece]:
    """The pieces up to the first stop word, or the last token that is allowed, when the engine goes on after it."""
    stop, left = StopWords(request.chat.stop_words), request.output_tokens
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            left -= piece.tokens
            last = _cut(piece, stop, exhausted=left < 0)
            yield last
            if last.finish_reason is not None:
                return


def counted(tokens: int) -> Usage:
    """The usage where the engine gives none: the answer's tokens as the driver counted them, and 0 for the prompt.

    Estimating the prompt's (by words, by characters) would look like a figure that can be billed.
    """
    return Usage(completion_tokens=tokens, total_tokens=tokens)


def _cut(piece: Piece, stop: StopWords, *, exhausted: bool) -> Piece:
    if exhausted:
        return Piece(stop.finish(None), finish_reason="length", usage=piece.usage)
    text, reason = stop.feed(piece.text), piece.finish_reason
    if stop.found:
        reason = "stop"
    elif reason is not None:
        text += stop.finish(piece.stop_word)
    return msgspec.structs.replace(piece, text=text, finish_reason=reason)


def _events(piece: Piece, writer: ChunkWriter) -> bytes:
    events = writer.text(piece.text) if piece.text else b""
    if piece.refusal or piece.tool_calls:
        events += writer.delta(Delta(refusal=piece.refusal, tool_calls=piece.tool_calls))
    return events
