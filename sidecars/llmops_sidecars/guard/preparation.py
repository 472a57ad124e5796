"""From a call to what is forwarded: template rendered, every text checked, in the one form that the cache takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import msgspec

from llmops_sidecars.guard.access.caller import ANONYMOUS
from llmops_sidecars.guard.audit import trail_of
from llmops_sidecars.guard.consent import agreed, require
from llmops_sidecars.guard.coverage import checked, plain, texts
from llmops_sidecars.guard.inspection import Inspection, context_of
from llmops_sidecars.guard.metrics import GuardMetrics
from llmops_sidecars.guard.pipeline import Incoming
from llmops_sidecars.guard.prompt import templated
from llmops_sidecars.guard.record import Record
from llmops_sidecars.guard.serving import Served, choose
from llmops_sidecars.guard.threads import in_thread
from llmops_sidecars.openai.chat import ChatRequest, StreamOptions, message_text
from llmops_sidecars.openai.endpoint import Call
from llmops_sidecars.proxy.asgi import Headers, Scope, header

THREAD_BYTES = 64 * 1024
"""Requests from this size on are checked in a thread: they would keep the others waiting for milliseconds."""

THREAD_SCHEMA_BYTES = 8 * 1024
"""The same for those with schemas, which have many small texts."""

LEAST_TOP_P = 1e-6
"""Stands for 0, which the API allows and engines do not: only the likeliest token."""


CACHE_DIRECTIVES = frozenset({"no-store", "no-cache", "only-if-cached"})


@dataclass(frozen=True)
class Forwarded:
    """One request as it is forwarded; it prints without its body. `generation` is what the cache knows it by."""

    generation: str
    headers: Headers
    body: bytes = field(repr=False)
    inspection: Inspection = field(repr=False)


def admitted(incoming: Incoming, user: str | None) -> Served:
    """The configuration for a caller, which agrees that its words are processed where the policy wants that.

    `user`: whom the request names. From here on the record is one of the policy's; raises ApiError.
    """
    record = incoming.record
    served = choose(incoming.serving, caller_of(user, record))
    record.revision, record.audit = served.configuration.revision, trail_of(served.policy)
    agrees = agreed(served.policy.consent, incoming.scope, incoming.caller.claims)
    if record.audit is not None:
        record.audit.consent = agrees
    require(served.policy.consent, agrees)
    return served


class Preparation:
    """Prepares the requests of calls."""

    def __init__(self, metrics: GuardMetrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics, self._clock = metrics, clock

    async def of(self, call: Call, served: Served, incoming: Incoming) -> list[Forwarded]:
        """All of a call's requests, checked before the first of them is answered; raises ApiError."""
        record, large = incoming.record, _is_large(incoming.body, call.requests[0])
        bodies = []
        for request in call.requests:
            opened = partial(self._opened, request, served, record, call.default_tokens)
            rendered, inspection = await in_thread(opened) if large else opened()
            await inspection.locate(partial(texts, rendered))
            check = partial(self._checked, rendered, inspection, record)
            bodies.append((await in_thread(check) if large else check(), inspection))
            await inspection.asked()
        return [
            Forwarded(name, internal_headers(incoming.scope, served, record, name), body, inspection)
            for number, (body, inspection) in enumerate(bodies)
            for name in (f"{record.generation}.{number}" if number else record.generation,)
        ]

    def _opened(
        self, request: ChatRequest, served: Served, record: Record, default_tokens: int | None
    ) -> tuple[ChatRequest, Inspection]:
        started = self._clock()
        request, template = templated(request, served, record)
        record.render_seconds += self._clock() - started
        if default_tokens is not None and request.output_tokens is None:
            request = msgspec.structs.replace(request, max_tokens=default_tokens)
        return _internal(request), Inspection(served.policy, context_of(request, template), record)

    def _checked(self, request: ChatRequest, inspection: Inspection, record: Record) -> bytes:
        started = self._clock()
        try:
            inspection.size(request)
            return msgspec.json.encode(checked(request, inspection.text) if inspection.input.checks else plain(request))
        finally:
            seconds = self._clock() - started
            record.check_seconds += seconds
            self._metrics.check.labels(record.revision).observe(seconds)
            if record.audit is not None:
                record.audit.hear(map(message_text, request.messages), inspection.input)


def _is_large(body: bytes, request: ChatRequest) -> bool:
    return len(body) >= (THREAD_SCHEMA_BYTES if request.tools or request.response_format else THREAD_BYTES)


def _internal(request: ChatRequest) -> ChatRequest:
    """Always streaming, with the usage; without what says how to deliver it, or whose it is."""
    return msgspec.structs.replace(
        request,
        stream=True,
        stream_options=StreamOptions(include_usage=True),
        n=None if request.n == 1 else request.n,
        top_p=LEAST_TOP_P if request.top_p == 0 else request.top_p,
        user=None,
        safety_identifier=None,
        store=None,
        modalities=None,
    )


def internal_headers(scope: Scope, served: Served, record: Record, generation: str) -> Headers:
    """What the cache is told beside the request."""
    fields = {
        "x-request-id": generation,
        "x-llmops-tenant": record.partition,
        "x-llmops-revision": record.revision,
        "x-llmops-policy": served.policy.version,
        "x-llmops-prompt": record.prompt,
        "cache-control": _cache_control(scope, record),
        "content-type": "application/json",
    }
    return [(name.encode(), value.encode()) for name, value in fields.items() if value]


def _cache_control(scope: Scope, record: Record) -> str:
    """What the caller asks for, as far as it is known here; a prompt in which something was found is not kept."""
    asked = {part.strip().lower() for part in (header(scope, b"cache-control") or "").split(",")}
    known = {part for part in asked if part in CACHE_DIRECTIVES or part.startswith("max-age=")}
    return ", ".join(sorted(known | ({"no-store"} if record.acted_on else set())))


def caller_of(user: str | None, record: Record) -> str:
    """Who is to get the same configuration each time: the user that the request names, or its credential."""
    return user or (record.request_id if record.partition == ANONYMOUS else record.partition)
