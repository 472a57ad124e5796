"""`POST /v1/chat/completions`: one request from its first byte to its record.

slot -> body -> parse -> configuration -> template -> rules -> cache and engine -> rules -> answer -> record
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

import msgspec

from llmops_sidecars.guard.answer import GuardedAnswer
from llmops_sidecars.guard.coverage import checked, texts
from llmops_sidecars.guard.inspection import Inspection, context_of
from llmops_sidecars.guard.metrics import GuardMetrics
from llmops_sidecars.guard.prompt import templated
from llmops_sidecars.guard.readiness import Readiness
from llmops_sidecars.guard.record import ANONYMOUS, HIT, Record, begin
from llmops_sidecars.guard.reply import Reply
from llmops_sidecars.guard.serving import Served, Serving, choose
from llmops_sidecars.guard.upstream import OK, commit, opened, refusal
from llmops_sidecars.guard.verdict import RuleError
from llmops_sidecars.openai.chat import ChatRequest, StreamOptions, decode_request
from llmops_sidecars.openai.errors import (
    ApiError,
    engine_timeout,
    guard_unavailable,
    internal_error,
    model_not_found,
    not_ready,
)
from llmops_sidecars.proxy.admission import Admission
from llmops_sidecars.proxy.asgi import (
    ClientDisconnectedError,
    Headers,
    Receive,
    Scope,
    Send,
    SlowClientError,
    StreamSender,
    header,
    read_body,
    send_failure,
    until_disconnect,
)
from llmops_sidecars.proxy.contract_file import ContractFile
from llmops_sidecars.proxy.downstream import Downstream
from llmops_sidecars.proxy.drain import Drain

THREAD_BYTES = 64 * 1024
"""Requests from this size on are checked in a thread: they would keep the others waiting for milliseconds."""

COMMITTED = frozenset({"miss", "shared"})
"""What the cache says of answers that it may remember."""

DRAINING = "draining"
"""An error whose connection has to go too: the client's next request is for another pod."""

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
        except ClientDisconnectedError:
            record.outcome = record.outcome if record.ended else "client_left"
        except SlowClientError:
            record.outcome = "client_left"
        except ApiError as error:
            await self._fail(error, sender, record)
        except Exception:  # noqa: BLE001 - the client gets an answer whatever is wrong, and the log says what
            _log.exception("a request failed", extra={"request_id": record.request_id})
            await self._fail(internal_error(), sender, record)
        finally:
            record.write(self._clock(), self._metrics)

    async def _serve(self, scope: Scope, receive: Receive, sender: StreamSender, record: Record) -> None:
        """Wait for a slot, and only then read: what waits takes no memory for its body."""
        self._serving()
        async with self._admission.slot() as waited:
            record.queue_seconds = waited
            self._metrics.queue.observe(waited)
            serving = self._serving()
            body = await read_body(scope, receive, serving.contract.limits.body_bytes)
            await until_disconnect(receive, self._timed(serving, scope, body, sender, record))

    async def _timed(self, serving: Serving, scope: Scope, body: bytes, sender: StreamSender, record: Record) -> None:
        seconds = serving.contract.limits.request_seconds
        try:
            async with asyncio.timeout(seconds):
                await self._answer(serving, scope, body, sender, record)
        except TimeoutError as error:
            raise engine_timeout("the end of its answer", seconds) from error

    async def _answer(self, serving: Serving, scope: Scope, body: bytes, sender: StreamSender, record: Record) -> None:
        request = decode_request(body)
        if request.model != serving.contract.model:
            raise model_not_found(serving.contract.model)
        record.streamed = request.streams
        served = choose(serving, _caller(request, record))
        record.revision = served.configuration.revision
        prepared = partial(self._prepared, request, served, record)
        forwarded, inspection = await asyncio.to_thread(prepared) if len(body) >= THREAD_BYTES else prepared()
        await inspection.asked()
        headers, limits = _internal_headers(scope, served, record), serving.contract.limits
        async with opened(self._downstream, headers, forwarded, limits) as response:
            record.cache = response.headers.get("x-llmops-cache", "")
            if response.status != OK:
                raise await refusal(response)
            answer = GuardedAnswer(
                served.policy, streams=request.streams, rules=inspection.output, vault=inspection.vault
            )
            token, passed = partial(self._token, record), partial(self._passed, record)
            reply = Reply(answer, serving.contract.model, record, limits, sender, self._clock, token, passed)
            try:
                await (reply.stream(response, usage=request.wants_usage) if request.streams else reply.whole(response))
            except RuleError as error:
                record.found("output", {}, (error.rule,))
                raise guard_unavailable() from error
            finally:
                _account(record, answer)

    def _prepared(self, request: ChatRequest, served: Served, record: Record) -> tuple[bytes, Inspection]:
        """The request as the cache gets it: template rendered, texts checked, always streaming, without its user."""
        started = self._clock()
        request, template = templated(request, served)
        record.prompt = f"{template.id}@{template.version}" if template else ""
        rendered = self._clock()
        record.render_seconds = rendered - started
        usage = StreamOptions(include_usage=True)
        request = msgspec.structs.replace(request, stream=True, stream_options=usage, n=None, user=None)
        inspection = Inspection(served.policy, context_of(request, template), record)
        try:
            inspection.size(len(request.messages), partial(texts, request))
            return msgspec.json.encode(checked(request, inspection.text)), inspection
        finally:
            record.check_seconds = self._clock() - rendered
            self._metrics.check.labels(record.revision).observe(record.check_seconds)

    def _token(self, record: Record) -> None:
        """The engine has said something, unless the cache remembers it."""
        now = self._clock()
        record.token(now, self._metrics)
        if record.cache != HIT:
            self._readiness.mark(now)

    async def _passed(self, record: Record) -> None:
        if record.cache in COMMITTED:
            await commit(self._downstream, record.generation)

    async def _fail(self, error: ApiError, sender: StreamSender, record: Record) -> None:
        """Answer with an error: as a status before the first byte, as the last event after it."""
        record.outcome = error.code
        record.status = record.status or error.status
        try:
            close = [(b"connection", b"close")] if error.code == DRAINING else []
            await send_failure(sender, error, [*record.headers(self._clock()), *close])
        except (ClientDisconnectedError, SlowClientError):
            record.outcome = "client_left"

    def _serving(self) -> Serving:
        if self._contract.current is None:
            raise not_ready(self._contract.error or "no contract has been read yet")
        return self._contract.current.built

    def _resize(self, serving: Serving) -> None:
        limits = serving.contract.limits
        self._admission.resize(limits.concurrent_requests, limits.queued_requests)


def _account(record: Record, answer: GuardedAnswer) -> None:
    record.usage = answer.usage
    record.found("output", answer.counts, answer.errors.elements())
    if answer.blocked_by is not None:
        record.outcome = "answer_blocked"


def _caller(request: ChatRequest, record: Record) -> str:
    """Who is to get the same configuration each time: the user that the request names, or its credential."""
    if request.user:
        return request.user
    return record.request_id if record.tenant == ANONYMOUS else record.tenant


def _internal_headers(scope: Scope, served: Served, record: Record) -> Headers:
    fields = {
        "x-request-id": record.generation,
        "x-llmops-tenant": record.tenant,
        "x-llmops-revision": record.revision,
        "x-llmops-policy": served.policy.version,
        "x-llmops-prompt": record.prompt,
        "cache-control": _cache_control(scope, record),
        "content-type": "application/json",
    }
    return [(name.encode(), value.encode()) for name, value in fields.items() if value]


def _cache_control(scope: Scope, record: Record) -> str:
    """What the caller asks for, as far as it is known here; a prompt in which something was found is not kept."""
    if record.acted_on:
        return "no-store"
    asked = {part.strip().lower() for part in (header(scope, b"cache-control") or "").split(",")}
    return ", ".join(sorted(asked & {"no-store", "no-cache"}))
