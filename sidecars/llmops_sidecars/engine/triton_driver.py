"""Triton as an engine: a request becomes a call of its model, responses become pieces."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncGenerator, Iterator
from functools import partial

from llmops_sidecars.contract import TritonGrpcEngine, TritonHttpEngine, TritonLayout
from llmops_sidecars.engine.answer import Answer, Response
from llmops_sidecars.engine.choices import side_by_side
from llmops_sidecars.engine.driver import (
    DEFAULT_OUTPUT_TOKENS,
    EmbedRequest,
    EngineUnavailableError,
    GenerateRequest,
    Piece,
    Vectors,
    generate_one_token,
    settle,
)
from llmops_sidecars.engine.interfaces import INTERFACES
from llmops_sidecars.engine.interfaces.interface import FINISH_REASON
from llmops_sidecars.engine.lingering import Lingering
from llmops_sidecars.engine.tensors import Datatype, Input, Signature
from llmops_sidecars.engine.transport import Call, Transport
from llmops_sidecars.openai.embeddings import EmbeddingsRequest
from llmops_sidecars.openai.errors import ApiError, engine_failed, no_embeddings, unsupported
from llmops_sidecars.proxy.asgi import cancel
from llmops_sidecars.proxy.deadline import Deadline

VECTORS_AT_ONCE = 16
"""Of one request with many texts, so that it leaves Triton room for others."""

SERVER_ERROR = 500

STOP_SECONDS = 2.0
"""How long a stop request may take; Triton answers it at once."""

_STOP = (
    Input("stop", Datatype.BOOLEAN, True),
    Input("input_ids", Datatype.INTEGER, 0, extra=True),
    Input("input_lengths", Datatype.INTEGER, 0, extra=True),
    Input("request_output_len", Datatype.INTEGER, 0, extra=True),
)
"""TensorRT-LLM's stop request; all but the first only have to be there."""

_log = logging.getLogger(__name__)


class TritonDriver:
    """The driver of one model in Triton."""

    def __init__(self, settings: TritonGrpcEngine | TritonHttpEngine, transport: Transport) -> None:
        self._settings, self._transport = settings, transport
        self._interface = INTERFACES[settings.interface]
        self._cumulative = self._interface.cumulative
        if settings.layout is not None:
            self._cumulative = settings.layout is TritonLayout.CUMULATIVE
        self._signatures: dict[str, Signature] = {}
        self._lingering = Lingering()

    def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece]:
        """Stream the answer to a request."""
        return side_by_side(self._one, request)

    async def embed(self, request: EmbedRequest) -> Vectors:
        """The vectors of texts, each asked for by itself: Triton batches what comes at the same time."""
        settings, wanted = self._settings.embedding, request.embeddings
        if settings is None:
            raise no_embeddings()
        if wanted.dimensions is not None:
            raise unsupported("dimensions", "dimensions: choosing the length of vectors")
        texts, width = _texts(wanted), asyncio.Semaphore(VECTORS_AT_ONCE)
        with self._learning():
            model = await self._signature(settings.model)

            async def vector(text: str) -> tuple[float, ...]:
                async with width:
                    one = Input(settings.input, Datatype.TEXT, text)
                    return await self._transport.numbers(Call(model, request.id, model.fit([one])), settings.output)

            asking = [asyncio.ensure_future(vector(text)) for text in texts]
            try:
                return Vectors(tuple(await asyncio.gather(*asking)))
            finally:
                await cancel(*asking)

    async def probe(self) -> None:
        """Generate one token."""
        await generate_one_token(self)

    async def close(self) -> None:
        """Close all connections, once what was to be stopped has been."""
        await self._lingering.close()
        self._signatures.clear()
        await self._transport.close()

    async def _one(self, request: GenerateRequest) -> AsyncGenerator[Piece]:
        """The pieces of one choice."""
        wanted = self._interface.inputs(request)
        with self._learning():
            model = await self._signature(self._settings.model)
            call = Call(model, self._name(request), model.fit(wanted))
            async with contextlib.aclosing(self._pieces(call, self._answer(request, model))) as pieces:
                async for piece in pieces:
                    yield piece

    async def _pieces(self, call: Call, answer: Answer) -> AsyncGenerator[Piece]:
        begun = ended = False
        async with contextlib.aclosing(self._responses(call)) as responses:
            async for response in responses:
                piece, begun = answer.piece(response), True
                if piece.finish_reason is not None:
                    ended = True
                    await settle(partial(anext, responses, None))
                yield piece
        if not ended:
            yield _last(answer, begun=begun)

    def _responses(self, call: Call) -> AsyncGenerator[Response]:
        responses, stopped_by = self._transport.responses(call), self._interface.stopped_by
        if stopped_by is None or stopped_by == self._settings.model:
            return responses
        return self._lingering.responses(responses, partial(self._stop, stopped_by, call.id))

    def _answer(self, request: GenerateRequest, model: Signature) -> Answer:
        return Answer(
            cumulative=self._cumulative,
            told=FINISH_REASON in model.dimensions,
            most_tokens=request.tokens_or(DEFAULT_OUTPUT_TOKENS),
            alternatives=request.chat.top_logprobs or 0,
        )

    def _name(self, request: GenerateRequest) -> str:
        """The call's id: one of its own where a stop request names it, or it would stop others of the same id too."""
        return uuid.uuid4().hex if self._interface.stopped_by else request.id

    @contextlib.contextmanager
    def _learning(self) -> Iterator[None]:
        """A failure of Triton's may mean that it has other models now: what was known of them is forgotten."""
        try:
            yield
        except (ApiError, EngineUnavailableError) as failure:
            if isinstance(failure, EngineUnavailableError) or failure.status >= SERVER_ERROR:
                self._signatures.clear()
            raise

    async def _signature(self, model: str) -> Signature:
        if model not in self._signatures:
            self._signatures[model] = await self._transport.signature(model)
        return self._signatures[model]

    async def _stop(self, model: str, name: str) -> bool:
        """Send a stop request, which is always answered with an error; False when no such model can be asked."""
        try:
            with Deadline(STOP_SECONDS):
                signature = await self._signature(model)
                responses = self._transport.responses(Call(signature, name, signature.fit(_STOP)))
                async with contextlib.aclosing(responses):
                    async for _ in responses:
                        pass
        except (ApiError, EngineUnavailableError, TimeoutError) as answer:
            _log.info("a generation was asked to stop", extra={"answer": type(answer).__name__})
        return model in self._signatures


def _last(answer: Answer, *, begun: bool) -> Piece:
    """The piece that ends an answer whose stream has ended; raises what a driver does when it should not have."""
    last = answer.end() if begun else None
    if last is not None:
        return last
    if begun:
        raise engine_failed()
    raise EngineUnavailableError


def _texts(wanted: EmbeddingsRequest) -> tuple[str, ...]:
    texts = tuple(one for one in wanted.inputs if isinstance(one, str))
    if len(texts) < len(wanted.inputs):
        raise unsupported("input", "input: tokens instead of texts")
    return texts
