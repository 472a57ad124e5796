"""An answer on its way to the client: the cache's events through the guard, as events or as one document."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import takewhile

from llmops_sidecars.contract import Limits
from llmops_sidecars.guard.answer import GuardedAnswer, joined
from llmops_sidecars.guard.record import Record
from llmops_sidecars.guard.upstream import GRACE_SECONDS
from llmops_sidecars.openai.answers import Chunk, ChunkChoice, Usage, decode_chunk
from llmops_sidecars.openai.assembly import Assembly
from llmops_sidecars.openai.endpoint import Call, Head, Writer
from llmops_sidecars.openai.errors import engine_failed, engine_timeout
from llmops_sidecars.openai.events import DONE_DATA, STREAM_HEADERS, EventSplitter
from llmops_sidecars.proxy.asgi import JSON, StreamSender
from llmops_sidecars.proxy.deadline import Deadline
from llmops_sidecars.proxy.downstream import DownstreamResponse

OK = 200


@dataclass
class Reply:
    """What is needed to answer one call, and what of it has been sent. `token` is told of each event with text."""

    call: Call
    model: str
    record: Record
    limits: Limits
    sender: StreamSender
    clock: Callable[[], float]
    token: Callable[[], None]
    writer: Writer | None = None
    collected: Assembly = field(default_factory=Assembly)
    usage: Usage = field(default_factory=Usage)

    async def take(
        self, response: DownstreamResponse, answer: GuardedAnswer, passed: Callable[[], Awaitable[None]], *, last: bool
    ) -> None:
        """Answer one of the call's requests, in their order. `passed` is awaited when all of it has, before its end."""
        taken = await (self._stream(response, answer) if self.call.streams else self._whole(response, answer))
        self.usage = self.usage.plus(answer.usage)
        if answer.blocked_by is None:
            await passed()
        if last and self.call.streams:
            self.record.ended = True
            await self.sender.end(taken + self._writing().end(self.usage))
        elif last:
            await self._document(answer)
        else:
            await self.sender.write(taken)

    async def _stream(self, response: DownstreamResponse, answer: GuardedAnswer) -> bytes:
        """Send events as they may leave; gives the last ones."""
        async with aclosing(self._guarded(response, answer)) as batches:
            async for leaving in batches:
                opening = b"" if self.writer else await self._start(answer)
                await self.sender.write(opening + (self._writing().more(leaving) if leaving else b""))
        return self._writing().more(await answer.end())

    async def _whole(self, response: DownstreamResponse, answer: GuardedAnswer) -> bytes:
        """Collect; there is nothing to send before the document."""
        async with aclosing(self._guarded(response, answer)) as batches:
            async for leaving in batches:
                self._collect(leaving)
        self._collect(await answer.end())
        return b""

    async def _document(self, answer: GuardedAnswer) -> None:
        self.collected.usage = self.usage
        document = self.call.document(self._head(answer), self.collected)
        self.record.status = OK
        headers = (JSON, *self.record.headers(self.clock()))
        self.record.ended = True
        await self.sender.whole(OK, document, headers)

    def _collect(self, leaving: Iterable[ChunkChoice]) -> None:
        for choice in leaving:
            self.collected.add(choice)

    async def _start(self, answer: GuardedAnswer) -> bytes:
        """Send the head; gives the first events."""
        self.record.status = OK
        self.writer = self.call.writer(self._head(answer))
        self.sender.failing = self.writer.fail
        await self.sender.start(OK, (*STREAM_HEADERS, *self.record.headers(self.clock())))
        return self.writer.begin()

    def _writing(self) -> Writer:
        if self.writer is None:
            raise engine_failed("The model's answer has no event.")
        return self.writer

    def _head(self, answer: GuardedAnswer) -> Head:
        return Head(self.record.request_id, answer.created, self.model)

    async def _guarded(
        self, response: DownstreamResponse, answer: GuardedAnswer
    ) -> AsyncGenerator[list[ChunkChoice], None]:
        """What may leave, in a batch per read, until the answer ends or all of it is blocked."""
        done, source = False, _Source(response, self.limits, self.clock)
        while (events := await source.read(answer.due)) is not None:
            leaving = [] if events else answer.tick(self.clock())
            chunks = [decode_chunk(data) for data in takewhile(DONE_DATA.__ne__, () if done else events)]
            done = done or DONE_DATA in events
            self._count(chunks)
            for chunk in joined(chunks):
                leaving += answer.push(chunk, self.clock())
            if leaving or events:
                yield leaving
            if answer.over:
                return
        if not done or not answer.complete:
            raise engine_failed("The model's answer ended before it was complete.")

    def _count(self, chunks: Iterable[Chunk]) -> None:
        for chunk in chunks:
            for choice in chunk.choices:
                if choice.delta.content or choice.delta.refusal or choice.delta.tool_calls:
                    self.token()
                    break


class _Source:
    """The events of an answer as they come; raises ApiError when they come too late."""

    def __init__(self, response: DownstreamResponse, limits: Limits, clock: Callable[[], float]) -> None:
        self._response, self._limits, self._clock = response, limits, clock
        self._splitter = EventSplitter()
        self._awaited, self._allowed = "its first token", limits.first_token_seconds
        self._late: float | None = None
        """When the next piece is late, from when it was asked for."""

    async def read(self, due: float | None) -> list[bytes] | None:
        """The events of the next read that has any; None at the end, nothing when it is `due` before they come."""
        while True:
            if self._late is None:
                self._late = self._clock() + self._allowed + GRACE_SECONDS
            data = await self._read(self._late if due is None else min(self._late, due))
            if data is None and self._clock() >= self._late:
                raise engine_timeout(self._awaited, self._allowed)
            if data is None:
                return []
            if not data:
                return None
            self._awaited, self._allowed, self._late = "its next token", self._limits.inter_token_seconds, None
            if events := self._splitter.feed(data):
                return events

    async def _read(self, until: float) -> bytes | None:
        """The next piece; None when it does not come until then."""
        try:
            with Deadline(max(until - self._clock(), 0)):
                return await self._response.read()
        except TimeoutError:
            return None
