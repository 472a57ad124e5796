"""Triton as an engine: a request becomes a call of its model, responses become pieces."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncGenerator

from llmops_sidecars.contract import TritonGrpcEngine, TritonHttpEngine, TritonLayout
from llmops_sidecars.engine.answer import Answer
from llmops_sidecars.engine.choices import side_by_side
from llmops_sidecars.engine.driver import (
    DEFAULT_OUTPUT_TOKENS,
    EngineUnreachableError,
    GenerateRequest,
    Piece,
    generate_one_token,
    settle,
)
from llmops_sidecars.engine.interfaces import INTERFACES
from llmops_sidecars.engine.interfaces.interface import FINISH_REASON
from llmops_sidecars.engine.tensors import Datatype, Input, Signature
from llmops_sidecars.engine.transport import Call, Transport
from llmops_sidecars.openai.errors import ApiError

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
        self._stopping: set[asyncio.Task[None]] = set()

    def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece]:
        """Stream the answer to a request."""
        return side_by_side(self._one, request)

    async def probe(self) -> None:
        """Generate one token."""
        await generate_one_token(self)

    async def close(self) -> None:
        """Close all connections, once what was to be stopped has been."""
        await asyncio.gather(*self._stopping)
        self._signatures.clear()
        await self._transport.close()

    async def _one(self, request: GenerateRequest) -> AsyncGenerator[Piece]:
        """The pieces of one choice. A failure may mean another model, of which nothing is known yet."""
        wanted = self._interface.inputs(request)
        try:
            model = await self._signature(self._settings.model)
            call = Call(model, self._name(request), model.fit(wanted))
            async with contextlib.aclosing(self._pieces(call, self._answer(request, model))) as pieces:
                async for piece in pieces:
                    yield piece
        except (ApiError, EngineUnreachableError):
            self._signatures.clear()
            raise

    async def _pieces(self, call: Call, answer: Answer) -> AsyncGenerator[Piece]:
        responses, ended = self._transport.responses(call), False
        try:
            async with contextlib.aclosing(responses):
                async for response in responses:
                    piece = answer.piece(response)
                    if piece.finish_reason is not None:
                        ended = True
                        await settle(responses)
                    yield piece
            last, ended = (None if ended else answer.end()), True
            if last is not None:
                yield last
        finally:
            if not ended:
                self._stop(call.id)

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

    async def _signature(self, model: str) -> Signature:
        if model not in self._signatures:
            self._signatures[model] = await self._transport.signature(model)
        return self._signatures[model]

    def _stop(self, name: str) -> None:
        """Have a generation ended that does not end with its request."""
        if self._interface.stopped_by in {None, self._settings.model}:
            return
        task = asyncio.create_task(self._send_stop(str(self._interface.stopped_by), name))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    async def _send_stop(self, model: str, name: str) -> None:
        """A stop request; what it is answered with is always an error."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                signature = await self._signature(model)
                responses = self._transport.responses(Call(signature, name, signature.fit(_STOP)))
                async with contextlib.aclosing(responses):
                    async for _ in responses:
                        pass
        except (ApiError, EngineUnreachableError, TimeoutError) as answer:
            _log.info("a generation was asked to stop", extra={"answer": type(answer).__name__})
