"""A client of the real Triton: what the sidecars do to it, in a few lines and without their code."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import tritonclient.grpc.aio as grpc_client
from tritonclient.grpc import InferInput

from tests.support.triton import TritonServer
from tests.support.triton_files import MODEL

SOON = 10.0
Event = dict[str, Any]
TYPES = {bool: ("BOOL", np.bool_), int: ("INT32", np.int32), float: ("FP32", np.float32), str: ("BYTES", np.object_)}


class Client:
    """One server; keyword arguments are input tensors, and over HTTP request parameters too."""

    def __init__(self, server: TritonServer, session: aiohttp.ClientSession, grpc: Any) -> None:
        self._server, self._session, self._grpc = server, session, grpc
        self._model = f"{server.http}/v2/models/{MODEL}"

    async def whole(self, text: str, **fields: Any) -> Event:
        """One answer in one piece."""
        return await self.post(json.dumps({"text_input": text, **fields}).encode())

    async def post(self, body: bytes) -> Event:
        async with self._session.post(f"{self._model}/generate", data=body) as response:
            return {"status": response.status, **await response.json(content_type=None)}

    async def stream(self, text: str, **fields: Any) -> AsyncGenerator[Event, None]:
        """The events of a stream; closing the iterator closes the connection."""
        body = {"text_input": text, "streaming": True, "return_finish_reason": True, **fields}
        async with self._session.post(f"{self._model}/generate_stream", json=body) as response:
            try:
                async for line in response.content:
                    if line.startswith(b"data: "):
                        yield json.loads(line[6:])
            except GeneratorExit:
                response.close()
                raise

    def call(self, text: str, parameters: Event | None = None, **fields: Any) -> Any:
        """A gRPC stream of one request: yields (result, error), and has cancel()."""
        tensors = {"text_input": text, "streaming": True, "return_finish_reason": True, **fields}
        inputs = [_tensor(name, value) for name, value in tensors.items()]

        async def requests() -> AsyncIterator[Event]:
            yield {"model_name": MODEL, "inputs": inputs, "parameters": parameters}

        return self._grpc.stream_infer(requests())

    async def status(self, path: str) -> int:
        async with self._session.get(f"{self._server.http}{path}") as response:
            return response.status

    async def metric(self, pattern: str) -> float | None:
        """The value of the first series that matches; None for a series that is not there."""
        async with self._session.get(self._server.metrics) as response:
            found = re.search(rf"^{pattern} (\S+)$", await response.text(), re.MULTILINE)
        return float(found[1]) if found else None

    async def until_metric(self, pattern: str, expected: float) -> None:
        await until(lambda: self.metric(pattern), expected)


@asynccontextmanager
async def connected(server: TritonServer) -> AsyncIterator[Client]:
    """A client of a server, for the time of an `async with`."""
    grpc = grpc_client.InferenceServerClient(server.grpc)
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            yield Client(server, session, grpc)
    finally:
        await grpc.close()


async def until(probe: Callable[[], Awaitable[object]], expected: object) -> None:
    """Ask until the answer is the expected one; raises TimeoutError after SOON seconds."""
    async with asyncio.timeout(SOON):
        while await probe() != expected:  # noqa: ASYNC110 - another process cannot set an event of ours
            await asyncio.sleep(0.02)


def text_of(result: Any) -> str:
    return str(result.as_numpy("text_output")[0].decode())


def reason_of(result: Any) -> str:
    return str(result.as_numpy("finish_reason")[0].decode())


def is_final(result: Any) -> bool:
    return bool(result.get_response().parameters["triton_final_response"].bool_param)


def _tensor(name: str, value: Any) -> InferInput:
    datatype, dtype = TYPES[type(value)]
    tensor = InferInput(name, [1], datatype)
    tensor.set_data_from_numpy(np.array([value.encode() if isinstance(value, str) else value], dtype=dtype))
    return tensor
