"""Triton over gRPC: one bidirectional stream per request, so that a cancellation ends that request and nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any

from llmops_sidecars.contract import TritonGrpcEngine
from llmops_sidecars.engine.driver import EngineUnreachableError, GenerateRequest, Piece, generate_one_token, settle
from llmops_sidecars.engine.triton import Answer, Input, error, inputs
from llmops_sidecars.openai.errors import ApiError

if TYPE_CHECKING:
    import numpy as np
    from tritonclient.grpc import InferInput
    from tritonclient.grpc.aio import InferenceServerClient

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

STATUS_HEADER = {"triton_grpc_error": "true"}
"""Makes Triton end the stream with a status instead of an error inside a response (24.08 and later)."""

_ELEMENT_TYPES = {"BOOL": "bool", "FP32": "float32", "INT32": "int32", "UINT64": "uint64"}


class TritonGrpc:
    """The driver. Its libraries (25 MB) are imported when the first one is made."""

    def __init__(self, settings: TritonGrpcEngine) -> None:
        import grpc.aio
        import tritonclient.grpc.aio as client

        self._client_module = client
        self._rpc_error = grpc.aio.AioRpcError
        self._settings = settings
        self._client: InferenceServerClient | None = None

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece]:
        """Stream the answer to a request."""
        answer = Answer(cumulative=self._settings.cumulative)
        responses = self._open().stream_infer(_once(self._message(request)), headers=STATUS_HEADER)
        try:
            async for result, failure in responses:
                if failure is not None:
                    raise error(failure.message() or "")
                piece = answer.piece(*(_text(result, name) for name in ("text_output", "finish_reason", "stop_reason")))
                if piece.finish_reason is not None:
                    await settle(responses)
                yield piece
        except self._rpc_error as failure:
            raise _failed(failure) from failure
        finally:
            responses.cancel()

    async def probe(self) -> None:
        """Generate one token."""
        await generate_one_token(self)

    async def close(self) -> None:
        """Close the channel."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _open(self) -> InferenceServerClient:
        if self._client is None:
            self._client = self._client_module.InferenceServerClient(
                self._settings.address, channel_args=CHANNEL_OPTIONS
            )
        return self._client

    def _message(self, request: GenerateRequest) -> dict[str, Any]:
        tensors = [self._tensor(value) for value in inputs(request)]
        return {"model_name": self._settings.model, "inputs": tensors, "request_id": request.id}

    def _tensor(self, given: Input) -> InferInput:
        array = _array(given)
        tensor = self._client_module.InferInput(given.name, list(array.shape), given.datatype.value)
        tensor.set_data_from_numpy(array)
        return tensor


def _failed(failure: Any) -> ApiError | EngineUnreachableError:
    """Tell a Triton that is not there from one that answers with an error, or breaks off."""
    details = failure.details() or ""
    return EngineUnreachableError() if "failed to connect" in details.lower() else error(details)


async def _once(message: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield message


def _array(given: Input) -> np.ndarray[Any, Any]:
    import numpy as np

    if given.datatype in _ELEMENT_TYPES:
        return np.array([given.value], dtype=_ELEMENT_TYPES[given.datatype])
    texts = given.value if isinstance(given.value, tuple) else (str(given.value),)
    return np.array([text.encode() for text in texts], dtype=np.object_)


def _text(result: Any, name: str) -> str:
    """An output's one value; "" where there is no such output."""
    values = result.as_numpy(name)
    return "" if values is None or not values.size else values.reshape(-1)[0].decode("utf-8", "replace")
