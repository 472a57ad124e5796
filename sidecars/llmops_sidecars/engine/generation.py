"""From pieces to events: what a client sees of one generation, whatever the engine."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncGenerator

import msgspec
from msgspec import UNSET

from llmops_sidecars.engine.driver import GenerateRequest, Piece
from llmops_sidecars.engine.text import StopWords
from llmops_sidecars.openai.answers import ChunkChoice, Delta, Logprobs, TokenLogprob, Usage
from llmops_sidecars.openai.errors import engine_failed
from llmops_sidecars.openai.events import DONE, ChunkWriter


async def answer_events(
    pieces: AsyncGenerator[Piece], writer: ChunkWriter, request: GenerateRequest
) -> AsyncGenerator[bytes]:
    """The events of an answer: each choice's role, text as it comes, and finish reason; the usage, `[DONE]`.

    Nothing is yielded before the first piece, so that an error before it can still be a status. Raises ApiError as the
    driver does, and `engine_failed` for a stream that ends without a finish reason for each choice: it was cut.
    """
    events, bounds = _Events(writer, request.n), [_Bounds(request) for _ in range(request.n)]
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            if not 0 <= piece.index < request.n:
                raise engine_failed("The model answered with more choices than it was asked for.")
            if bounds[piece.index].reached:
                continue
            told = events.of(bounds[piece.index].cut(piece))
            if events.ended:
                yield told + events.end()
                return
            yield told
    raise engine_failed("The model's answer ended before it was complete.")


def counted(tokens: int) -> Usage:
    """The usage where the engine gives none: the answer's tokens as the driver counted them, and 0 for the prompt.

    Estimating the prompt's (by words, by characters) would look like a figure that can be billed.
    """
    return Usage(completion_tokens=tokens, total_tokens=tokens)


class _Bounds:
    """Where one choice ends when the engine goes on: at its first stop word, or after the last token allowed.

    `reached` once it has ended.
    """

    def __init__(self, request: GenerateRequest) -> None:
        self._stop, self._left = StopWords(request.chat.stop_words), request.output_tokens
        self._logprobs = _HeldLogprobs()
        self.reached = False

    def cut(self, piece: Piece) -> Piece:
        """The next piece, or what may leave of it."""
        self._left -= piece.tokens
        last = self._exhausted(piece) if self._left < 0 else self._up_to_stop_word(piece)
        self.reached = last.finish_reason is not None
        return last

    def _exhausted(self, piece: Piece) -> Piece:
        text = self._stop.finish(None)
        logprobs = self._logprobs.leaving(Piece(), text)
        return Piece(text, finish_reason="length", usage=piece.usage, index=piece.index, logprobs=logprobs)

    def _up_to_stop_word(self, piece: Piece) -> Piece:
        text, reason = self._stop.feed(piece.text), piece.finish_reason
        if self._stop.found:
            reason = "stop"
        elif reason is not None:
            text += self._stop.finish(piece.stop_word)
        logprobs = self._logprobs.leaving(piece, text)
        return msgspec.structs.replace(piece, text=text, finish_reason=reason, logprobs=logprobs)


class _HeldLogprobs:
    """Log probabilities that leave with the text that they belong to, which may have to wait, or never leave.

    A piece's leave together, with its last character: where a stop word begins within a piece, none of it are told.
    """

    def __init__(self) -> None:
        self._held: deque[tuple[int, tuple[TokenLogprob, ...]]] = deque()
        self._came = self._left = 0

    def leaving(self, piece: Piece, text: str) -> tuple[TokenLogprob, ...] | None:
        """What leaves with `text`, when `piece` has come; to be called for every piece."""
        self._came += len(piece.text)
        self._left += len(text)
        if piece.logprobs:
            self._held.append((self._came, piece.logprobs))
        leaving: list[TokenLogprob] = []
        while self._held and self._held[0][0] <= self._left:
            leaving += self._held.popleft()[1]
        return tuple(leaving) or None


class _Events:
    """Writes the pieces of one answer down."""

    def __init__(self, writer: ChunkWriter, choices: int) -> None:
        self._writer = writer
        self._silent, self._open = set(range(choices)), set(range(choices))
        self._usage: Usage | None = None
        self._tokens = 0

    @property
    def ended(self) -> bool:
        """Whether every choice has its finish reason."""
        return not self._open

    def of(self, piece: Piece) -> bytes:
        """The events of a piece."""
        self._usage, self._tokens = piece.usage or self._usage, self._tokens + piece.tokens
        return self._role(piece) + self._content(piece) + self._finish(piece)

    def end(self) -> bytes:
        """The events after the last choice's end."""
        return self._writer.usage(self._usage or counted(self._tokens)) + DONE

    def _role(self, piece: Piece) -> bytes:
        if piece.index not in self._silent:
            return b""
        self._silent.discard(piece.index)
        return self._event(piece, Delta(role="assistant", content=""))

    def _content(self, piece: Piece) -> bytes:
        """A piece's text, then what else it has; log probabilities belong to the refusal where there is one."""
        told = None if piece.refusal else piece.logprobs
        if told is None and piece.index == 0:
            events = self._writer.text(piece.text) if piece.text else b""
        elif piece.text or told:
            logprobs = Logprobs(content=told) if told else None
            events = self._writer.choice(ChunkChoice(piece.index, Delta(content=piece.text), logprobs=logprobs))
        else:
            events = b""
        if piece.refusal or piece.tool_calls:
            rest = Delta(refusal=piece.refusal, tool_calls=piece.tool_calls)
            refused = Logprobs(refusal=piece.logprobs) if piece.refusal and piece.logprobs else UNSET
            events += self._writer.choice(ChunkChoice(piece.index, rest, logprobs=refused))
        return events

    def _finish(self, piece: Piece) -> bytes:
        if piece.finish_reason is None:
            return b""
        self._open.discard(piece.index)
        return self._event(piece, Delta(), piece.finish_reason)

    def _event(self, piece: Piece, delta: Delta, finish_reason: str | None = None) -> bytes:
        return self._writer.choice(ChunkChoice(piece.index, delta, finish_reason))
