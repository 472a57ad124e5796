"""`/v1/embeddings`: texts through the input rules, vectors back; they say nothing that a rule could read.

parse -> configuration, consent -> rules -> engine -> answer
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import msgspec

from llmops_sidecars.guard.inspection import Inspection
from llmops_sidecars.guard.metrics import GuardMetrics
from llmops_sidecars.guard.pipeline import Incoming
from llmops_sidecars.guard.preparation import THREAD_BYTES, admitted, internal_headers
from llmops_sidecars.guard.record import Record
from llmops_sidecars.guard.rules.finding import Context
from llmops_sidecars.guard.serving import Served
from llmops_sidecars.guard.threads import in_thread
from llmops_sidecars.guard.upstream import OK, opened, refusal
from llmops_sidecars.openai.answers import Usage
from llmops_sidecars.openai.chat import ChatRequest, Message
from llmops_sidecars.openai.embeddings import (
    EmbeddingsRequest,
    PassedEmbeddings,
    decode_embeddings_request,
    decode_embeddings_response,
    encode_embeddings,
)
from llmops_sidecars.openai.errors import engine_failed, model_not_found, unsupported
from llmops_sidecars.proxy.asgi import JSON
from llmops_sidecars.proxy.downstream import Downstream, DownstreamResponse, read_response

PATH = "/v1/embeddings"
MOST_ANSWER_BYTES = 256 * 1024 * 1024
"""Thousands of long vectors in JSON."""


class EmbeddingWork:
    """The work; what it needs is given to it."""

    def __init__(
        self, downstream: Downstream, metrics: GuardMetrics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._downstream, self._metrics, self._clock = downstream, metrics, clock

    async def __call__(self, incoming: Incoming) -> None:
        """Answer a request; raises ApiError."""
        record, contract, started = incoming.record, incoming.serving.contract, self._clock()
        request = _decoded(incoming.body)
        record.parse_seconds = self._clock() - started
        if request.model != contract.model:
            raise model_not_found(contract.model)
        served = admitted(incoming, request.user)
        inspection = Inspection(served.policy, Context(), record)
        await inspection.locate(lambda: _texts(request))
        check = partial(self._checked, request, inspection, record)
        body = await in_thread(check) if len(incoming.body) >= THREAD_BYTES else check()
        await inspection.asked()
        answer = await self._answer(incoming, served, body, len(request.inputs))
        record.usage = Usage(answer.usage.prompt_tokens, 0, answer.usage.total_tokens)
        record.status, record.ended = OK, True
        named = msgspec.structs.replace(answer, model=contract.model)
        await incoming.sender.whole(OK, encode_embeddings(named), (JSON, *record.headers(self._clock())))

    def _checked(self, request: EmbeddingsRequest, inspection: Inspection, record: Record) -> bytes:
        """The request as it is forwarded: every text checked, without its user."""
        started, texts = self._clock(), _texts(request)
        try:
            inspection.size(ChatRequest(request.model, tuple(Message("user", text) for text in texts)))
            passed = tuple(map(inspection.text, texts))
            return encode_embeddings(msgspec.structs.replace(request, input=passed, user=None))
        finally:
            record.check_seconds = self._clock() - started
            self._metrics.check.labels(record.revision).observe(record.check_seconds)
            if record.audit is not None:
                record.audit.hear(texts, inspection.input)

    async def _answer(self, incoming: Incoming, served: Served, body: bytes, inputs: int) -> PassedEmbeddings:
        record, limits, sent = incoming.record, incoming.serving.contract.limits, self._clock()
        headers = internal_headers(incoming.scope, served, record, record.generation)
        async with opened(self._downstream, PATH, headers, body, limits) as response:
            record.answering(response.headers, self._clock() - sent)
            if response.status != OK:
                raise await refusal(response)
            return await _read(response, inputs)


def _decoded(body: bytes) -> EmbeddingsRequest:
    request = decode_embeddings_request(body)
    if any(not isinstance(one, str) for one in request.inputs):
        raise unsupported("input", "input: token ids, which no policy can read; send text")
    return request


def _texts(request: EmbeddingsRequest) -> list[str]:
    return [one for one in request.inputs if isinstance(one, str)]


async def _read(response: DownstreamResponse, inputs: int) -> PassedEmbeddings:
    """The answer; one that is of unknown shape, or lacks a vector, is none."""
    answer = decode_embeddings_response(await read_response(response, MOST_ANSWER_BYTES))
    if [one.index for one in answer.data] != list(range(inputs)):
        raise engine_failed("The engine's answer does not have a vector for each input.")
    return answer
