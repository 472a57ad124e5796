"""`POST /v1/chat/completions`: one request from its first byte to its record.

read -> slot -> parse -> configuration -> template -> rules -> cache and engine -> rules -> answer -> record
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from llmops_sidecars.guard.answer import GuardedAnswer
from llmops_sidecars.guard.coverage import checked
from llmops_sidecars.guard.metrics import GuardMetrics
from llmops_sidecars.guard.prompt import templated
from llmops_sidecars.guard.readiness import Readiness
from llmops_sidecars.guard.record import ANONYMOUS, Record, begin
from llmops_sidecars.guard.serving import Served, Serving, choose
from llmops_sidecars.guard.verdict import RuleError, judge
from llmops_sidecars.openai.answers import Chunk, ChunkChoice, Delta, decode_chunk, encode_answer
from llmops_sidecars.openai.assembly import Assembly
from llmops_sidecars.openai.chat import ChatRequest, StreamOptions, decode_request, encode_request
from llmops_sidecars.openai.errors import (
    ApiError,
    content_blocked,
    decode_error,
    engine_failed,
    engine_timeout,
    engine_unavailable,
    guard_unavailable,
    internal_error,
    model_not_found,
    not_ready,
)
from llmops_sidecars.openai.events import (
    DONE,
    DONE_DATA,
    STREAM_HEADERS,
    ChunkWriter,
    EventSplitter,
    EventTooLargeError,
    error_event,
)
from llmops_sidecars.proxy.admission import Admission
from llmops_sidecars.proxy.asgi import (
    ClientDisconnectedError,
    Receive,
    Scope,
    Send,
    SlowClientError,
    StreamSender,
    cancel,
    error_headers,
    header,
    read_body,
    until_disconnect,
)
from llmops_sidecars.proxy.contract_file import ContractFile
from llmops_sidecars.proxy.downstream import (
    Downstream,
    DownstreamCutError,
    DownstreamResponse,
    DownstreamUnavailableError,
    read_response,
)
from llmops_sidecars.proxy.drain import Drain

OK = 200
CHAT_PATH = "/v1/chat/completions"
MOST_ERROR_BYTES = 64 * 1024
LEAST_WAIT_SECONDS = 0.02
"""Between two looks at text that is held though its time has come, because it may go on."""

JSON = ((b"content-type", b"application/json"),)

_log = logging.getLogger(__name__)


class Chat:
    """The handler; what it needs is given to it."""

    def __init__(
        self,
        contract: ContractFile[Serving],
        downstream: Downstream,
        drain: Drain,
        readiness: Readiness,
        metrics: GuardMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep them; the admission follows the contract's limits."""
        self._contract, self._downstream, self._drain = contract, downstream, drain
        self._readiness, self._metrics, self._clock = readiness, metrics, clock
        self._admission = Admission(1, 0, clock=clock)
        contract.subscribe(lambda new, _: self._resize(new.built))
        if contract.current is not None:
            self._resize(contract.current.built)
        metrics.in_flight.set_function(lambda: self._admission.running)
        metrics.queued.set_function(lambda: self._admission.waiting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, whatever becomes of it, and write its record last."""
        record, sender = begin(scope, self._clock()), StreamSender(send)
        try:
            with self._drain.track():
                await self._serve(scope, receive, sender, record)
        except (ClientDisconnectedError, SlowClientError):
            record.outcome = "client_left"
        except ApiError as error:
            await self._fail(error, sender, record)
        except Exception:  # noqa: BLE001 - the client gets an answer whatever is wrong, and the log says what
            _log.exception("a request failed", extra={"request_id": record.request_id})
            await self._fail(internal_error(), sender, record)
        finally:
            record.write(self._clock(), self._metrics)

    async def _serve(self, scope: Scope, receive: Receive, sender: StreamSender, record: Record) -> None:
        serving = self._serving()
        body = await read_body(scope, receive, serving.contract.limits.body_bytes)
        await until_disconnect(receive, self._admitted(scope, body, sender, record))

    async def _admitted(self, scope: Scope, body: bytes, sender: StreamSender, record: Record) -> None:
        async with self._admission.slot() as waited:
            record.queue_seconds = waited
            self._metrics.queue.observe(waited)
            seconds = self._serving().contract.limits.request_seconds
            try:
                async with asyncio.timeout(seconds):
                    await self._answer(scope, body, sender, record)
            except TimeoutError as error:
                raise engine_timeout("the whole answer", seconds) from error

    async def _answer(self, scope: Scope, body: bytes, sender: StreamSender, record: Record) -> None:
        serving, request = self._serving(), decode_request(body)
        if request.model != serving.contract.model:
            raise model_not_found(serving.contract.model)
        record.streamed = request.streams
        served = choose(serving, _caller(request, record))
        record.revision = served.configuration.revision
        forwarded = self._prepared(request, served, record)
        headers = _internal_headers(scope, served, record)
        async with self._opened(headers, forwarded, record) as response:
            answer = GuardedAnswer(served.policy)
            try:
                reply = _Streamed if request.streams else _Whole
                await reply(request, answer, sender, record, self).run(response)
            except RuleError as error:
                answer.errors += 1
                raise guard_unavailable() from error
            finally:
                _account(record, answer)

    def _prepared(self, request: ChatRequest, served: Served, record: Record) -> ChatRequest:
        """The request as the cache gets it: template rendered, texts checked, always streaming."""
        request, template = templated(request, served)
        record.prompt = f"{template.id}@{template.version}" if template else ""
        started = self._clock()
        try:
            request = checked(request, lambda text: _check(text, served, record))
        finally:
            record.check_seconds = self._clock() - started
            self._metrics.check.labels(record.revision).observe(record.check_seconds)
        usage = StreamOptions(include_usage=True)
        return msgspec.structs.replace(request, stream=True, stream_options=usage, user=None)

    @asynccontextmanager
    async def _opened(
        self, headers: list[tuple[bytes, bytes]], request: ChatRequest, record: Record
    ) -> AsyncIterator[DownstreamResponse]:
        """The cache's answer, known to be a stream."""
        try:
            async with self._downstream.request("POST", CHAT_PATH, headers, encode_request(request)) as response:
                record.cache = response.headers.get("x-llmops-cache", "bypass")
                if response.status != OK:
                    retry_after = response.headers.get("retry-after", "")
                    body = await read_response(response, MOST_ERROR_BYTES)
                    seconds = int(retry_after) if retry_after.isdigit() else None
                    raise decode_error(response.status, body, retry_after=seconds)
                yield response
        except DownstreamUnavailableError as error:
            raise engine_unavailable() from error
        except (DownstreamCutError, EventTooLargeError) as error:
            raise engine_failed() from error

    async def commit(self, record: Record) -> None:
        """Tell the cache that the answer has passed; that it cannot be told only costs a hit."""
        if record.cache not in {"miss", "shared"}:
            return
        try:
            headers = [(b"x-request-id", record.request_id.encode())]
            async with self._downstream.request("POST", "/commit", headers) as response:
                await read_response(response, MOST_ERROR_BYTES)
        except (DownstreamUnavailableError, DownstreamCutError):
            _log.warning("the cache could not be told to keep an answer", extra={"request_id": record.request_id})

    def now(self) -> float:
        """The clock."""
        return self._clock()

    def token(self, record: Record) -> None:
        """The engine has said something."""
        now = self._clock()
        record.token(now, self._metrics)
        self._readiness.mark(now)

    async def _fail(self, error: ApiError, sender: StreamSender, record: Record) -> None:
        """Answer with an error: as a status before the first byte, as the last event after it."""
        record.outcome = error.code
        record.status = record.status or error.status
        try:
            if sender.started:
                await sender.end(error_event(error))
                return
            headers = (*JSON, *error_headers(error), *record.headers(self._clock()))
            body = error.encode()
            await sender.start(error.status, (*headers, (b"content-length", str(len(body)).encode())))
            await sender.end(body)
        except (ClientDisconnectedError, SlowClientError):
            record.outcome = "client_left"

    def _serving(self) -> Serving:
        if self._contract.current is None:
            raise not_ready(self._contract.error or "no contract has been read yet")
        return self._contract.current.built

    def _resize(self, serving: Serving) -> None:
        limits = serving.contract.limits
        self._admission.resize(limits.concurrent_requests, limits.queued_requests)


class _Reply:
    """What the two forms of an answer share: reading the cache's stream through the guard."""

    def __init__(
        self, request: ChatRequest, answer: GuardedAnswer, sender: StreamSender, record: Record, chat: Chat
    ) -> None:
        self._request, self._answer, self._sender, self._record, self._chat = request, answer, sender, record, chat
        self._first: Chunk | None = None

    async def _deltas(self, response: DownstreamResponse) -> AsyncIterator[list[Delta]]:
        """What may leave, in batches, until the answer ends or is blocked."""
        done = False
        async for events in _batches(response, self._answer, self._chat.now):
            deltas: list[Delta] = [] if events else self._answer.tick(self._chat.now())
            for data in events:
                done = done or data == DONE_DATA
                if not done:
                    deltas += self._take(decode_chunk(data))
            yield deltas
            if self._answer.blocked_by is not None:
                return
        if not done or self._answer.finish_reason is None:
            raise engine_failed("The model's answer ended before it was complete.")
        yield self._answer.flush()

    def _take(self, chunk: Chunk) -> list[Delta]:
        self._first = self._first or chunk
        if any(choice.delta.content or choice.delta.tool_calls for choice in chunk.choices):
            self._chat.token(self._record)
        return self._answer.push(chunk, self._chat.now())

    async def _settle(self) -> None:
        """The answer is whole: have it remembered, unless it was blocked."""
        if self._answer.blocked_by is None:
            await self._chat.commit(self._record)


class _Streamed(_Reply):
    """Events, as they may leave."""

    async def run(self, response: DownstreamResponse) -> None:
        """Send them; the commit comes before the last one."""
        writer: ChunkWriter | None = None
        async for deltas in self._deltas(response):
            if writer is None and self._first is not None:
                writer = await self._start(self._first)
            if writer is not None:
                await self._sender.write(b"".join(_event(writer, delta) for delta in deltas))
        await self._settle()
        if writer is None:
            raise engine_failed("The model's answer has no event.")
        await self._sender.end(self._ending(writer))

    async def _start(self, first: Chunk) -> ChunkWriter:
        writer = ChunkWriter(first.id, first.created, self._request.model)
        self._record.status = OK
        await self._sender.start(OK, (*STREAM_HEADERS, *self._record.headers(self._chat.now())))
        await self._sender.write(writer.role())
        return writer

    def _ending(self, writer: ChunkWriter) -> bytes:
        ending = writer.finish(self._answer.finish_reason or "stop")
        if self._request.wants_usage:
            ending += writer.usage(self._answer.usage)
        return ending + DONE


class _Whole(_Reply):
    """One JSON document."""

    async def run(self, response: DownstreamResponse) -> None:
        """Collect, then send."""
        whole = Assembly()
        async for deltas in self._deltas(response):
            for delta in deltas:
                whole.add(self._chunk(delta))
        await self._settle()
        whole.add(self._chunk(Delta(), self._answer.finish_reason))
        whole.usage = self._answer.usage
        body = encode_answer(whole.response())
        self._record.status = OK
        headers = (*JSON, *self._record.headers(self._chat.now()), (b"content-length", str(len(body)).encode()))
        await self._sender.start(OK, headers)
        await self._sender.end(body)

    def _chunk(self, delta: Delta, finish_reason: str | None = None) -> Chunk:
        first = self._first or Chunk()
        choice = ChunkChoice(delta=delta, finish_reason=finish_reason)
        return Chunk(first.id, first.created, self._request.model, (choice,))


async def _batches(
    response: DownstreamResponse, answer: GuardedAnswer, now: Callable[[], float]
) -> AsyncIterator[list[bytes]]:
    """The events of each read; an empty list when something that is held has to be looked at before the next read."""
    splitter, stream = EventSplitter(), aiter(response.stream())
    read: asyncio.Future[bytes] | None = None
    try:
        while True:
            read = read or asyncio.ensure_future(anext(stream, b""))
            wait = None if answer.due is None else max(answer.due - now(), LEAST_WAIT_SECONDS)
            if not (await asyncio.wait({read}, timeout=wait))[0]:
                yield []
                continue
            data, read = read.result(), None
            if not data:
                return
            if events := splitter.feed(data):
                yield events
    finally:
        if read is not None:
            await cancel(read)


def _check(text: str, served: Served, record: Record) -> str:
    """One text of the request through the input rules; raises ApiError when it must not pass."""
    try:
        verdict = judge(text, served.policy.input)
    except RuleError as error:
        record.errors["input"] += 1
        raise guard_unavailable() from error
    record.errors["input"] += verdict.errors
    for (rule, action), count in verdict.counts.items():
        record.findings[rule, "input", action] += count
    if verdict.blocked_by is not None:
        raise content_blocked(verdict.blocked_by)
    return verdict.text


def _account(record: Record, answer: GuardedAnswer) -> None:
    record.usage = answer.usage
    record.errors["output"] += answer.errors
    for (rule, action), count in answer.counts.items():
        record.findings[rule, "output", action] += count
    if answer.blocked_by is not None:
        record.outcome = "answer_blocked"


def _caller(request: ChatRequest, record: Record) -> str:
    """Who is to get the same configuration each time: the user that the request names, or its credential."""
    if request.user:
        return request.user
    return record.request_id if record.tenant == ANONYMOUS else record.tenant


def _internal_headers(scope: Scope, served: Served, record: Record) -> list[tuple[bytes, bytes]]:
    fields = {
        "x-request-id": record.request_id,
        "x-llmops-tenant": record.tenant,
        "x-llmops-revision": record.revision,
        "x-llmops-policy": served.policy.version,
        "x-llmops-prompt": record.prompt,
        "cache-control": _cache_control(scope, record.findings),
        "content-type": "application/json",
    }
    return [(name.encode(), value.encode()) for name, value in fields.items() if value]


def _cache_control(scope: Scope, findings: Counter[tuple[str, str, str]]) -> str:
    """What the caller asks for, as far as it is known here; a prompt in which something was found is not kept."""
    if findings:
        return "no-store"
    asked = {part.strip().lower() for part in (header(scope, b"cache-control") or "").split(",")}
    return ", ".join(sorted(asked & {"no-store", "no-cache"}))


def _event(writer: ChunkWriter, delta: Delta) -> bytes:
    return writer.text(delta.content) if delta.content is not None else writer.delta(delta)
