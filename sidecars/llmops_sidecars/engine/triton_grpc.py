"""Triton over gRPC: one bidirectional stream per request, so that a cancellation ends that request and nothing else.

The protocol's messages are made and read here: tritonclient's asynchronous client cannot ask for an empty final
response, and takes each text through numpy. Errors come inside responses: the header `triton_grpc_error` makes statuses
of them, but Triton 2.51 has crashed (SIGSEGV) when a connection was closed right after such an error.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from llmops_sidecars.engine.answer import Response
from llmops_sidecars.engine.driver import EngineUnavailableError
from llmops_sidecars.engine.tensors import Signature, first_text
from llmops_sidecars.engine.transport import Call
from llmops_sidecars.engine.triton import error
from llmops_sidecars.openai.errors import ApiError, engine_failed, engine_unavailable

CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)
"""After Triton's restart the channel is back within a second (gRPC's own back-off grows to 120 s). No keepalive pings:
the limits on tokens notice a hung engine sooner, and Triton ends connections that ping more often than every 5 minutes.
"""

FINAL, EMPTY_FINAL = "triton_final_response", "triton_enable_empty_final_response"
"""A response's parameter that says that it is the last, and the request's that asks for it even where that is empty."""

_TEXTS = frozenset({"text_output", "finish_reason", "stop_reason", "logprobs"})
_NUMBERS = frozenset({"num_input_tokens", "num_output_tokens"})
_INTEGERS = {"INT32": "<i", "UINT32": "<I", "INT64": "<q", "UINT64": "<Q"}
_FLOATS = {"FP16": "e", "FP32": "f", "FP64": "d"}


class GrpcTransport:
    """The way to one address, host:port. Its libraries (25 MB) are imported when the first one is made."""

    def __init__(self, address: str) -> None:
        import grpc.aio
        from tritonclient.grpc import service_pb2, service_pb2_grpc

        self._grpc, self._messages, self._service = grpc.aio, service_pb2, service_pb2_grpc
        self._address = address
        self._channel: Any = None
        self._opened: Any = None

    async def signature(self, model: str) -> Signature:
        """What a model takes."""
        try:
            metadata = await self._stub().ModelMetadata(self._messages.ModelMetadataRequest(name=model))
        except self._grpc.AioRpcError as failure:
            raise _failed(failure, begun=False) from failure
        return Signature(model, {tensor.name: len(tensor.shape) for tensor in metadata.inputs})

    async def responses(self, call: Call) -> AsyncGenerator[Response]:
        """The responses until the one that Triton marks as the last."""
        stream = self._stub().ModelStreamInfer(_once(self._message(call)))
        begun = ended = False
        try:
            async for message in stream:
                if message.error_message:
                    raise error(message.error_message)
                response, begun = message.infer_response, True
                ended = response.parameters[FINAL].bool_param
                if response.outputs:
                    yield _response(response)
        except self._grpc.AioRpcError as failure:
            raise _failed(failure, begun=begun) from failure
        finally:
            stream.cancel()
        if not ended:
            raise engine_failed()

    async def numbers(self, call: Call, output: str) -> tuple[float, ...]:
        """One output of a model that answers once."""
        try:
            response = await self._stub().ModelInfer(self._message(call))
        except self._grpc.AioRpcError as failure:
            raise _failed(failure, begun=False) from failure
        for tensor, raw in zip(response.outputs, response.raw_output_contents, strict=True):
            if tensor.name == output and tensor.datatype in _FLOATS:
                return tuple(number for (number,) in struct.iter_unpack(f"<{_FLOATS[tensor.datatype]}", raw))
        raise engine_unavailable(f"The model {call.model.model!r} in Triton has no output {output!r} of numbers.")

    async def close(self) -> None:
        """Close the channel."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    def _stub(self) -> Any:
        if self._channel is None:
            self._channel = self._grpc.insecure_channel(self._address, options=CHANNEL_OPTIONS)
            self._opened = self._service.GRPCInferenceServiceStub(self._channel)
        return self._opened

    def _message(self, call: Call) -> Any:
        message = self._messages.ModelInferRequest(model_name=call.model.model, id=call.id)
        message.parameters[EMPTY_FINAL].bool_param = True
        for one in call.inputs:
            tensor = message.inputs.add(name=one.name, datatype=one.datatype.value)
            tensor.shape.extend(call.model.shape(one))
            message.raw_input_contents.append(one.raw())
        return message


def _failed(failure: Any, *, begun: bool) -> ApiError | EngineUnavailableError:
    """Tell a Triton that has not begun to answer from one that answers with an error, or breaks off."""
    details, code = failure.details() or "", failure.code().name
    gone = code == "UNAVAILABLE" and "is restricted" not in details
    return EngineUnavailableError() if gone and not begun else error(details)


def _response(message: Any) -> Response:
    found: dict[str, Any] = {}
    for tensor, raw in zip(message.outputs, message.raw_output_contents, strict=True):
        if tensor.name in _TEXTS:
            found[tensor.name] = first_text(raw)
        elif tensor.name in _NUMBERS and raw:
            found[tensor.name] = struct.unpack_from(_INTEGERS[tensor.datatype], raw)[0]
    return Response(**found)


async def _once(message: Any) -> AsyncIterator[Any]:
    yield message
