"""One generation with many listeners: equal requests that arrive together cost the engine one.

    run(generate) --> add(chunk)* --> end     the generation, in a task of its own: it outlives whoever began it
    listen() --> pieces()                     each listener, from the beginning, at its own pace

Listeners hold a position in the flight's one record, so a slow one takes no memory of its own, and what it missed comes
to it in fewer and larger pieces. The record is bounded: beyond `max_bytes` the flight takes no more listeners, forgets
what all have read, and waits for the slowest. When the last listener leaves, the generation is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager

from llmops_sidecars.openai.answers import Chunk, Delta, Usage
from llmops_sidecars.openai.errors import ApiError, engine_failed, internal_error

MAX_RECORD_BYTES = 512 * 1024
"""What one flight may hold, in bytes, about: an answer of several thousand tokens that came one by one."""

PIECE_BYTES = 64
"""What a piece takes beside its characters: the object and its place in a list (CPython 3.11)."""

Piece = str | Delta
"""More of an answer: text, or anything else that it may grow by."""

_log = logging.getLogger(__name__)


class Listener:
    """A position in a flight's record."""

    def __init__(self) -> None:
        self.position = 0
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Say that there is more, or the end."""
        self._woken.set()

    async def change(self) -> None:
        """Wait to be woken."""
        self._woken.clear()
        await self._woken.wait()


class Flight:
    """One generation. `whole` is False once its beginning may be gone: it can neither be joined nor remembered then."""

    def __init__(self, *, whole: bool, max_bytes: int = MAX_RECORD_BYTES) -> None:
        self.whole = whole
        self.ended = False
        self.created = 0
        self.model = ""
        self.engine = ""
        """Which engine answers, where it says so."""
        self.finish_reason = ""
        self.usage: Usage | None = None
        self._max_bytes = max_bytes
        self._pieces: list[Piece] = []
        self._bytes = 0
        self._forgotten = 0
        self._listeners: set[Listener] = set()
        self._progress = asyncio.Event()
        self._error: ApiError | None = None
        self._task: asyncio.Task[None] | None = None

    def text(self) -> str | None:
        """The text of an answer that ended well, is held from its beginning, and is nothing but text."""
        if not self.whole or not self.ended or self._error is not None:
            return None
        texts = [piece for piece in self._pieces if isinstance(piece, str)]
        return "".join(texts) if len(texts) == len(self._pieces) else None

    def run(self, generate: Callable[[Flight], Awaitable[None]]) -> asyncio.Task[None]:
        """Start the generation, which calls `add`; what it raises reaches all listeners, not the task's owner."""
        self._task = asyncio.create_task(self._run(generate), name="generation")
        return self._task

    async def add(self, chunk: Chunk) -> None:
        """Record a chunk; then wait for as long as the record is full and not yet read by all."""
        if not self.model:
            self.created, self.model = chunk.created, chunk.model
        self.usage = chunk.tokens or self.usage
        for choice in chunk.choices:
            self.finish_reason = choice.finish_reason or self.finish_reason
            self._record(choice.delta)
        self._wake()
        self._forget()
        while self._bytes > self._max_bytes:
            self._progress.clear()
            await self._progress.wait()
            self._forget()

    @contextmanager
    def listen(self) -> Iterator[Listener]:
        """Listen for a while; the last one to leave cancels a generation that has not ended."""
        listener = Listener()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            self._progress.set()
            if not self._listeners and not self.ended and self._task is not None:
                self.whole = False
                self._task.cancel()

    async def opened(self, listener: Listener) -> None:
        """Wait until there is something to read; raises the ApiError of a generation that failed before that."""
        while not self._unread(listener) and not self.ended:
            await listener.change()
        if self._error is not None and not self._unread(listener):
            raise self._error

    async def pieces(self, listener: Listener) -> AsyncGenerator[Piece]:
        """What there is, and what comes until the end; raises the ApiError that the generation ended with."""
        while True:
            while self._unread(listener):
                yield self._next(listener)
            if self.ended:
                break
            await listener.change()
        if self._error is not None:
            raise self._error

    async def _run(self, generate: Callable[[Flight], Awaitable[None]]) -> None:
        self._error = engine_failed("The model's answer was cancelled.")
        try:
            await generate(self)
            self._error = None if self.finish_reason else engine_failed("The model's answer ended without a reason.")
        except ApiError as error:
            self._error = error
        except Exception:  # noqa: BLE001 - whatever went wrong, nobody may be left waiting for the end
            _log.exception("a generation failed")
            self._error = internal_error()
        finally:
            self.ended = True
            self._wake()

    def _record(self, delta: Delta) -> None:
        if delta.content:
            self._pieces.append(delta.content)
            self._bytes += _size(delta.content)
        if delta.refusal or delta.tool_calls:
            rest = Delta(refusal=delta.refusal, tool_calls=delta.tool_calls)
            self._pieces.append(rest)
            self._bytes += _size(rest)
        if self._bytes > self._max_bytes:
            self.whole = False

    def _unread(self, listener: Listener) -> int:
        return self._forgotten + len(self._pieces) - listener.position

    def _next(self, listener: Listener) -> Piece:
        """The next piece for a listener; texts that wait for it come as one."""
        waiting = self._pieces[listener.position - self._forgotten :]
        texts = _leading_texts(waiting)
        listener.position += len(texts) or 1
        self._progress.set()
        return "".join(texts) if texts else waiting[0]

    def _forget(self) -> None:
        """Drop what all listeners have read, unless the flight has to stay whole."""
        if self.whole:
            return
        read = min((listener.position for listener in self._listeners), default=self._forgotten) - self._forgotten
        self._bytes -= sum(_size(piece) for piece in self._pieces[:read])
        del self._pieces[:read]
        self._forgotten += read

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.wake()


class Flights:
    """The generations that equal requests may join, by key."""

    def __init__(self) -> None:
        self._by_key: dict[str, Flight] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def find(self, key: str) -> Flight | None:
        """The flight to join, if there is one."""
        flight = self._by_key.get(key)
        return flight if flight is not None and flight.whole and not flight.ended else None

    def start(self, key: str, flight: Flight, generate: Callable[[Flight], Awaitable[None]]) -> None:
        """Run a flight that others may join from now on, until its generation has ended."""
        self._by_key[key] = flight
        flight.run(generate).add_done_callback(lambda _: self._remove(key, flight))

    def _remove(self, key: str, flight: Flight) -> None:
        if self._by_key.get(key) is flight:
            del self._by_key[key]


def _leading_texts(pieces: list[Piece]) -> list[str]:
    texts = []
    for piece in pieces:
        if not isinstance(piece, str):
            break
        texts.append(piece)
    return texts


def _size(piece: Piece) -> int:
    return PIECE_BYTES + len(piece if isinstance(piece, str) else repr(piece))
