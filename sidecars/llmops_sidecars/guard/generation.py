"""From a body to an answer, for every endpoint that generates.

parse -> configuration, consent -> template -> rules -> cache and engine -> rules -> answer
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from llmops_sidecars.guard.answer import GuardedAnswer
from llmops_sidecars.guard.metrics import GuardMetrics
from llmops_sidecars.guard.pipeline import Incoming, Work
from llmops_sidecars.guard.preparation import Forwarded, Preparation, admitted
from llmops_sidecars.guard.readiness import Readiness
from llmops_sidecars.guard.record import HITS, Record
from llmops_sidecars.guard.reply import Reply
from llmops_sidecars.guard.serving import Served
from llmops_sidecars.guard.text import Judging
from llmops_sidecars.guard.upstream import CHAT_PATH, OK, commit, opened, refusal
from llmops_sidecars.guard.verdict import RuleError
from llmops_sidecars.openai.endpoint import Call, Endpoint
from llmops_sidecars.openai.errors import guard_unavailable, model_not_found
from llmops_sidecars.proxy.downstream import Downstream

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
        self._preparation = Preparation(metrics, clock)

    def of(self, endpoint: Endpoint) -> Work:
        """The work of one endpoint."""
        return partial(self._answer, endpoint)

    async def _answer(self, endpoint: Endpoint, incoming: Incoming) -> None:
        record, contract = incoming.record, incoming.serving.contract
        call = self._read(endpoint, incoming)
        asked = call.requests[0]
        served = admitted(incoming, asked.safety_identifier or asked.user)
        forwarded = await self._preparation.of(call, served, incoming)
        token = partial(self._token, record)
        reply = Reply(call, contract.model, record, contract.limits, incoming.sender, self._clock, token)
        for number, one in enumerate(forwarded):
            answer = GuardedAnswer(
                _judging(call, served, one, record), choices=asked.choices, first=number * asked.choices
            )
            await self._forward(incoming, one, answer, reply, last=number == len(forwarded) - 1)

    def _read(self, endpoint: Endpoint, incoming: Incoming) -> Call:
        record, started = incoming.record, self._clock()
        call = endpoint.read(incoming.body)
        record.streamed = call.streams
        record.parse_seconds = self._clock() - started
        if call.requests[0].model != incoming.serving.contract.model:
            raise model_not_found(incoming.serving.contract.model)
        return call

    async def _forward(
        self, incoming: Incoming, one: Forwarded, answer: GuardedAnswer, reply: Reply, *, last: bool
    ) -> None:
        """Have one request answered below, and send the answer as far as it may leave."""
        record, limits, sent = incoming.record, incoming.serving.contract.limits, self._clock()
        async with opened(self._downstream, CHAT_PATH, one.headers, one.body, limits) as response:
            record.answering(response.headers, self._clock() - sent)
            if response.status != OK:
                raise await refusal(response)
            try:
                await reply.take(response, answer, partial(self._passed, record, one), last=last)
            except RuleError as error:
                record.found("output", {}, error.findings.errors)
                record.took(error.findings.seconds)
                raise guard_unavailable() from error
            finally:
                _account(record, answer)
                if record.audit is not None:
                    record.audit.answer(answer.kept, one.inspection.output)

    def _token(self, record: Record) -> None:
        """The engine has said something, unless the cache remembers it."""
        now = self._clock()
        record.token(now, self._metrics)
        if record.cache not in HITS:
            self._readiness.mark(now)

    async def _passed(self, record: Record, one: Forwarded) -> None:
        if record.cache in COMMITTED:
            await commit(self._downstream, one.generation)


def _judging(call: Call, served: Served, one: Forwarded, record: Record) -> Judging:
    """How the answer to one request is judged."""
    return Judging(
        one.inspection.output,
        served.policy.stream,
        streams=call.streams,
        vault=one.inspection.vault,
        terms=call.terms,
        logprobs=bool(call.requests[0].logprobs),
        keeps=record.audit is not None and record.audit.keeps_texts,
    )


def _account(record: Record, answer: GuardedAnswer) -> None:
    record.usage = record.usage.plus(answer.usage)
    record.found("output", answer.judging.counts, answer.judging.errors, answer.judging.checked)
    record.took(answer.judging.waited)
    if answer.blocked_by is not None:
        record.outcome = "answer_blocked"
