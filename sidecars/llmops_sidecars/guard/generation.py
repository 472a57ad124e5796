"""From a body to an answer, for every endpoint that generates.

parse -> configuration -> template -> rules -> cache and engine -> rules -> answer
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

import msgspec

from llmops_sidecars.guard.answer import GuardedAnswer
from llmops_sidecars.guard.audit import masked, trail_of
from llmops_sidecars.guard.consent import agreed, require
from llmops_sidecars.guard.coverage import checked
from llmops_sidecars.guard.inspection import Inspection, context_of
from llmops_sidecars.guard.metrics import GuardMetrics
from llmops_sidecars.guard.pipeline import Incoming, Work
from llmops_sidecars.guard.prompt import templated
from llmops_sidecars.guard.readiness import Readiness
from llmops_sidecars.guard.record import ANONYMOUS, HIT, Record
from llmops_sidecars.guard.reply import Reply
from llmops_sidecars.guard.serving import Served, choose
from llmops_sidecars.guard.upstream import OK, commit, opened, refusal
from llmops_sidecars.guard.verdict import RuleError
from llmops_sidecars.openai.chat import ChatRequest, StreamOptions, message_text
from llmops_sidecars.openai.endpoint import Call, Endpoint
from llmops_sidecars.openai.errors import guard_unavailable, model_not_found
from llmops_sidecars.proxy.asgi import Headers, Scope, header
from llmops_sidecars.proxy.downstream import Downstream

THREAD_BYTES = 64 * 1024
"""Requests from this size on are checked in a thread: they would keep the others waiting for milliseconds."""

COMMITTED = frozenset({"miss", "shared"})
"""What the cache says of answers that it may remember."""


class Generation:
    """The work; what it needs is given to it."""

    def __init__(
        self,
        downstream: Downstream,
        readiness: Readiness,
        metrics: GuardMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._downstream, self._readiness, self._metrics, self._clock = downstream, readiness, metrics, clock

    def of(self, endpoint: Endpoint) -> Work:
        """The work of one endpoint."""
        return partial(self._answer, endpoint)

    async def _answer(self, endpoint: Endpoint, incoming: Incoming) -> None:
        call, record = endpoint.read(incoming.body), incoming.record
        if call.request.model != incoming.serving.contract.model:
            raise model_not_found(incoming.serving.contract.model)
        record.streamed = call.streams
        served = choose(incoming.serving, _caller(call.request, record))
        record.revision = served.configuration.revision
        _require_consent(incoming, served)
        prepared = partial(self._prepared, call.request, served, record)
        large = len(incoming.body) >= THREAD_BYTES
        forwarded, inspection = await asyncio.to_thread(prepared) if large else prepared()
        await inspection.asked()
        await self._forward(incoming, call, served, forwarded, inspection)

    async def _forward(
        self, incoming: Incoming, call: Call, served: Served, body: bytes, inspection: Inspection
    ) -> None:
        """Have it answered below, and send the answer as far as it may leave."""
        record, contract = incoming.record, incoming.serving.contract
        headers = _internal_headers(incoming.scope, served, record)
        async with opened(self._downstream, headers, body, contract.limits) as response:
            record.cache = response.headers.get("x-llmops-cache", "")
            record.engine = response.headers.get("x-llmops-engine", "")
            if response.status != OK:
                raise await refusal(response)
            answer = GuardedAnswer(
                served.policy,
                streams=call.streams,
                rules=inspection.output,
                vault=inspection.vault,
                keeps=record.audit is not None and record.audit.keeps_texts,
            )
            token, passed = partial(self._token, record), partial(self._passed, record)
            reply = Reply(
                call, answer, contract.model, record, contract.limits, incoming.sender, self._clock, token, passed
            )
            try:
                await reply.send(response)
            except RuleError as error:
                record.found("output", {}, (error.rule,))
                raise guard_unavailable() from error
            finally:
                _account(record, answer)
                if record.audit is not None and record.audit.keeps_texts:
                    record.audit.answered = masked(answer.kept, inspection.output)

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
            inspection.size(request)
            return msgspec.json.encode(checked(request, inspection.text)), inspection
        finally:
            if record.audit is not None and record.audit.keeps_texts:
                record.audit.said = masked(map(message_text, request.messages), inspection.input)
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


def _require_consent(incoming: Incoming, served: Served) -> None:
    """Find out whether the caller agrees, and have it written; raises ApiError where it has to agree."""
    policy, record = served.policy, incoming.record
    answer = agreed(policy.consent, incoming.scope)
    record.audit = trail_of(policy)
    if record.audit is not None:
        record.audit.consent = answer
    require(policy.consent, answer)


def _account(record: Record, answer: GuardedAnswer) -> None:
    record.usage = answer.usage
    record.found("output", answer.counts, answer.errors.elements())
    record.took(answer.waited)
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
