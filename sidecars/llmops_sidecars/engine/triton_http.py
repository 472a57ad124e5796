"""Triton over HTTP: the generate extension's `generate_stream`.

Always the stream, also for clients that do not want one: a plain `generate` never notices that its client has left. A
connection per request, because Triton's exit waits for connections that are idle, for its whole exit timeout.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec
from msgspec import Struct

from llmops_sidecars.contract import TritonHttpEngine
from llmops_sidecars.engine.driver import EngineUnreachableError, GenerateRequest, Piece, generate_one_token, settle
from llmops_sidecars.engine.triton import Answer, error, inputs
from llmops_sidecars.openai.errors import engine_failed, engine_unavailable
from llmops_sidecars.openai.events import EventSplitter, EventTooLargeError
from llmops_sidecars.proxy.downstream import (
    DownstreamCutError,
    DownstreamResponse,
    DownstreamUnavailableError,
    HttpDownstream,
    read_response,
)

MAX_ERROR_BYTES = 64 * 1024
OK = 200


class _Event(Struct, frozen=True):
    """A response of the model, or an error: which is a text here, not an object."""

    text_output: str = ""
    finish_reason: str | None = None
    stop_reason: str | None = None
    error: str | None = None


_DECODER = msgspec.json.Decoder(_Event)


class TritonHttp:
    """The driver."""

    def __init__(self, settings: TritonHttpEngine) -> None:
        self._settings = settings
        self._path = f"/v2/models/{settings.model}/generate_stream"
        self._http = HttpDownstream(url=settings.url.rstrip("/"), keep_connections=False)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece]:
        """Stream the answer to a request."""
        body = _encode(request)
        try:
            async with self._http.request(
                "POST", self._path, ((b"content-type", b"application/json"),), body
            ) as response:
                if response.status != OK:
                    raise error(_error_text(await read_response(response, MAX_ERROR_BYTES)))
                async with contextlib.aclosing(self._pieces(response)) as pieces:
                    async for piece in pieces:
                        yield piece
        except DownstreamUnavailableError as unavailable:
            if unavailable.refused:
                raise EngineUnreachableError from unavailable
            raise engine_unavailable() from unavailable
        except (DownstreamCutError, EventTooLargeError) as cut:
            raise engine_failed() from cut

    async def probe(self) -> None:
        """Generate one token."""
        await generate_one_token(self)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def _pieces(self, response: DownstreamResponse) -> AsyncGenerator[Piece]:
        answer = Answer(cumulative=self._settings.cumulative)
        events = _events(response)
        async for event in events:
            if event.error is not None:
                raise error(event.error)
            piece = answer.piece(event.text_output, event.finish_reason, event.stop_reason)
            if piece.finish_reason is not None:
                await settle(events)
            yield piece


async def _events(response: DownstreamResponse) -> AsyncIterator[_Event]:
    splitter = EventSplitter()
    async for data in response.stream():
        for event in splitter.feed(data):
            try:
                yield _DECODER.decode(event)
            except (msgspec.DecodeError, UnicodeDecodeError) as failure:
                raise engine_failed("The model's answer has an event of unknown shape.") from failure


def _encode(request: GenerateRequest) -> bytes:
    tensors = {tensor.name: tensor.value for tensor in inputs(request)}
    return msgspec.json.encode({"id": request.id, **tensors} if request.id else tensors)


def _error_text(body: bytes) -> str:
    """The error in a body: an event when the model has refused the request, plain JSON when Triton has."""
    events = EventSplitter().feed(body) or [body]
    try:
        return _DECODER.decode(events[0]).error or ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
