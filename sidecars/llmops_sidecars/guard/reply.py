"""An answer on its way to the client: the cache's events through the guard, as events or as one document."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from llmops_sidecars.contract import Limits
from llmops_sidecars.guard.answer import GuardedAnswer
from llmops_sidecars.guard.record import Record
from llmops_sidecars.guard.upstream import GRACE_SECONDS
from llmops_sidecars.openai.answers import Chunk, ChunkChoice, Delta, decode_chunk
from llmops_sidecars.openai.assembly import Assembly
from llmops_sidecars.openai.endpoint import Call, Head, Writer
from llmops_sidecars.openai.errors import engine_failed, engine_timeout
from llmops_sidecars.openai.events import DONE_DATA, STREAM_HEADERS, EventSplitter
from llmops_sidecars.proxy.asgi import JSON, StreamSender
from llmops_sidecars.proxy.deadline import Deadline
from llmops_sidecars.proxy.downstream import DownstreamResponse

OK = 200


@dataclass(frozen=True)
class Reply:
    """What is needed to answer one call. `token` is told of each event with text, `passed` when all has passed."""

    call: Call
    answer: GuardedAnswer
    model: str
    record: Record
    limits: Limits
    sender: StreamSender
    clock: Callable[[], float]
    token: Callable[[], None]
    passed: Callable[[], Awaitable[None]]

    async def send(self, response: DownstreamResponse) -> None:
        """Answer in the form that the client wants."""
        await (self._stream(response) if self.call.streams else self._whole(response))

    async def _stream(self, response: DownstreamResponse) -> None:
        """Send events as they may leave; `passed` is awaited before the last ones."""
        writer: Writer | None = None
        async with aclosing(self._guarded(response)) as batches:
            async for deltas in batches:
                opening = b""
                if writer is None:
                    writer = await self._start()
                    opening = writer.begin()
                await self.sender.write(opening + writer.more(deltas))
        if writer is None:
            raise engine_failed("The model's answer has no event.")
        await self._settle()
        ending = writer.end(self.answer.finish_reason or "stop", self.answer.usage)
        self.record.ended = True
        await self.sender.end(ending)

    async def _whole(self, response: DownstreamResponse) -> None:
        """Collect, then send one document."""
        collected = Assembly()
        async with aclosing(self._guarded(response)) as batches:
            async for deltas in batches:
                for delta in deltas:
                    collected.add(_chunk(delta))
        await self._settle()
        collected.add(_chunk(Delta(), self.answer.finish_reason))
        collected.usage = self.answer.usage
        self.record.status = OK
        headers = (JSON, *self.record.headers(self.clock()))
        self.record.ended = True
        await self.sender.whole(OK, self.call.document(self._head(), collected), headers)

    async def _start(self) -> Writer:
        self.record.status = OK
        await self.sender.start(OK, (*STREAM_HEADERS, *self.record.headers(self.clock())))
        return self.call.writer(self._head())

    async def _settle(self) -> None:
        """The answer is whole: have it remembered, unless it was blocked."""
        if self.answer.blocked_by is None:
            await self.passed()

    def _head(self) -> Head:
        return Head(self.record.request_id, self.answer.created, self.model)

    async def _guarded(self, response: DownstreamResponse) -> AsyncGenerator[list[Delta], None]:
        """What may leave, in a batch per read, until the answer ends or is blocked."""
        done = False
        async with aclosing(self._events(response)) as batches:
            async for events in batches:
                deltas: list[Delta] = [] if events else self.answer.tick(self.clock())
                for data in events:
                    done = done or data == DONE_DATA
                    if not done:
                        deltas += self._take(decode_chunk(data))
                if deltas or events:
                    yield deltas
                if self.answer.blocked_by is not None:
                    return
        if not done or self.answer.finish_reason is None:
            raise engine_failed("The model's answer ended before it was complete.")
        yield await self.answer.flush()

    def _take(self, chunk: Chunk) -> list[Delta]:
        if any(choice.delta.content or choice.delta.refusal or choice.delta.tool_calls for choice in chunk.choices):
            self.token()
        return self.answer.push(chunk, self.clock())

    async def _events(self, response: DownstreamResponse) -> AsyncGenerator[list[bytes], None]:
        """The events of each read; an empty list when time alone may let something go before the next read."""
        splitter = EventSplitter()
        allowed, awaited = self.limits.first_token_seconds, "its first token"
        while True:
            late = self.clock() + allowed + GRACE_SECONDS
            while (data := await self._read(response, late)) is None:
                if self.clock() >= late:
                    raise engine_timeout(awaited, allowed)
                yield []
            if not data:
                return
            if events := splitter.feed(data):
                yield events
            allowed, awaited = self.limits.inter_token_seconds, "its next token"

    async def _read(self, response: DownstreamResponse, late: float) -> bytes | None:
        """The next piece; None when something that is held is due before it comes, or it is late."""
        due = self.answer.due
        until = late if due is None else min(late, due)
        try:
            with Deadline(max(until - self.clock(), 0)):
                return await response.read()
        except TimeoutError:
            return None


def _chunk(delta: Delta, finish_reason: str | None = None) -> Chunk:
    return Chunk(choices=(ChunkChoice(delta=delta, finish_reason=finish_reason),))
