"""Triton over HTTP: the generate extension's `generate_stream`.

Always the stream, also for clients that do not want one: a plain `generate` never notices that its client has left. A
connection per request, because Triton's exit waits for connections that are idle, for its whole exit timeout.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from msgspec import Struct

from llmops_sidecars.engine.answer import Response
from llmops_sidecars.engine.driver import EngineUnavailableError
from llmops_sidecars.engine.tensors import Signature
from llmops_sidecars.engine.transport import MAX_ERROR_BYTES, Call
from llmops_sidecars.engine.triton import error, reason
from llmops_sidecars.openai.errors import ApiError, engine_failed, engine_unavailable
from llmops_sidecars.openai.events import EventSplitter, EventTooLargeError
from llmops_sidecars.proxy.client import HttpDownstream
from llmops_sidecars.proxy.downstream import (
    DownstreamCutError,
    DownstreamResponse,
    DownstreamUnavailableError,
    read_response,
)

MAX_ANSWER_BYTES = 16 * 1024 * 1024
OK, SERVICE_UNAVAILABLE = 200, 503
HEADERS = ((b"content-type", b"application/json"),)


class _Tensor(Struct, frozen=True):
    name: str
    shape: tuple[int, ...] = ()
    data: tuple[float, ...] = ()


class _Metadata(Struct, frozen=True):
    inputs: tuple[_Tensor, ...] = ()


class _Inferred(Struct, frozen=True):
    outputs: tuple[_Tensor, ...] = ()


_RESPONSE = msgspec.json.Decoder(Response)
_METADATA = msgspec.json.Decoder(_Metadata)
_INFERRED = msgspec.json.Decoder(_Inferred)


class HttpTransport:
    """The way to one URL."""

    def __init__(self, url: str) -> None:
        self._http = HttpDownstream(url=url.rstrip("/"), keep_connections=False)

    async def signature(self, model: str) -> Signature:
        """What a model takes."""
        metadata = _METADATA.decode(await self._whole("GET", f"/v2/models/{model}"))
        return Signature(model, {tensor.name: len(tensor.shape) for tensor in metadata.inputs})

    async def responses(self, call: Call) -> AsyncGenerator[Response]:
        """The responses until the end of the stream, which is the only mark of the last one."""
        begun = False
        try:
            async with self._asked("POST", f"/v2/models/{call.model.model}/generate_stream", _fields(call)) as response:
                async for event in _events(response):
                    begun = True
                    yield _decoded(event)
        except (DownstreamCutError, EventTooLargeError) as cut:
            if begun:
                raise engine_failed() from cut
            raise EngineUnavailableError from cut

    async def numbers(self, call: Call, output: str) -> tuple[float, ...]:
        """One output of a model that answers once."""
        body = await self._whole("POST", f"/v2/models/{call.model.model}/infer", _tensors(call))
        try:
            inferred = _INFERRED.decode(body)
        except msgspec.DecodeError as failure:
            raise engine_failed("The model's answer has an unknown shape.") from failure
        for tensor in inferred.outputs:
            if tensor.name == output and tensor.data:
                return tensor.data
        raise engine_unavailable(f"The model {call.model.model!r} in Triton has no output {output!r} of numbers.")

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def _whole(self, method: str, path: str, body: bytes = b"") -> bytes:
        try:
            async with self._asked(method, path, body) as response:
                return await read_response(response, MAX_ANSWER_BYTES)
        except DownstreamCutError as cut:
            raise EngineUnavailableError from cut

    @asynccontextmanager
    async def _asked(self, method: str, path: str, body: bytes = b"") -> AsyncIterator[DownstreamResponse]:
        """The answer to a request that Triton has taken."""
        try:
            async with self._http.request(method, path, HEADERS, body) as response:
                if response.status != OK:
                    raise _refusal(response.status, await read_response(response, MAX_ERROR_BYTES))
                yield response
        except DownstreamUnavailableError as unavailable:
            raise EngineUnavailableError from unavailable


async def _events(response: DownstreamResponse) -> AsyncIterator[bytes]:
    splitter = EventSplitter()
    async for data in response.stream():
        for event in splitter.feed(data):
            yield event
    if splitter.pending:
        raise DownstreamCutError("the stream ends inside an event")


def _decoded(event: bytes) -> Response:
    try:
        response = _RESPONSE.decode(event)
    except (msgspec.DecodeError, UnicodeDecodeError) as failure:
        raise engine_failed("The model's answer has an event of unknown shape.") from failure
    if response.error is not None:
        raise error(response.error)
    return response


def _refusal(status: int, body: bytes) -> ApiError | EngineUnavailableError:
    text = _error_text(body)
    queue_full = reason(text) == "queue full"
    return EngineUnavailableError() if status == SERVICE_UNAVAILABLE and not queue_full else error(text)


def _error_text(body: bytes) -> str:
    """The error in a body: an event when the model has refused the request, plain JSON when Triton has."""
    events = EventSplitter().feed(body) or [body]
    try:
        return _RESPONSE.decode(events[0]).error or ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _fields(call: Call) -> bytes:
    """The generate extension's form: inputs are fields, and Triton finds their shapes."""
    tensors = {one.name: one.value for one in call.inputs}
    return msgspec.json.encode({"id": call.id, **tensors} if call.id else tensors)


def _tensors(call: Call) -> bytes:
    """The inference protocol's form."""
    tensors = [
        {
            "name": one.name,
            "datatype": one.datatype.value,
            "shape": call.model.shape(one),
            "data": one.value if isinstance(one.value, tuple) else (one.value,),
        }
        for one in call.inputs
    ]
    return msgspec.json.encode({"id": call.id, "inputs": tensors})
