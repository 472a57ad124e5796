"""The next component: one interface for the guard to call the cache and the cache to call the engine.

    async with downstream.request("POST", "/v1/chat/completions", headers, body) as response:
        async for data in response.stream(): ...

Leaving the block before the stream has ended cancels the request: over a socket by closing its connection, in one
process by the `http.disconnect` that a server would deliver.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from llmops_sidecars.proxy.asgi import Headers

CONNECT_SECONDS = 2.0
"""How long a connection may take on this machine."""

SERVER_IDLE_SECONDS = 60
"""How long a server of these components keeps idle connections: longer than its clients (15 s), so that it never
closes one that has just been taken for a request."""


class DownstreamError(Exception):
    """The next component failed as a transport; what it answers itself is a response."""


class DownstreamUnavailableError(DownstreamError):
    """No answer: nobody listens, or the connection ended before the status. `refused`: it was not even taken."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class DownstreamCutError(DownstreamError):
    """The connection ended in the middle of the body."""


class DownstreamResponse(Protocol):
    """An answer whose head has arrived."""

    @property
    def status(self) -> int:
        """The status code."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields, names in lower case."""

    async def read(self) -> bytes:
        """The next piece of the body as it arrives, nothing at its end; raises DownstreamCutError.

        A cancelled read loses nothing: the next one goes on where it was.
        """

    def stream(self) -> AsyncIterator[bytes]:
        """The pieces that `read` gives, never empty."""


class Downstream(Protocol):
    """Where requests go next."""

    def request(
        self, method: str, path: str, headers: Headers = (), body: bytes = b""
    ) -> AbstractAsyncContextManager[DownstreamResponse]:
        """Send a request and wait for the answer's head; raises DownstreamUnavailableError."""

    async def close(self) -> None:
        """Close idle connections; requests under way fail."""


async def read_response(response: DownstreamResponse, limit: int) -> bytes:
    """The whole body of an answer; raises DownstreamCutError also when it is larger than `limit` bytes."""
    body = bytearray()
    async for data in response.stream():
        body += data
        if len(body) > limit:
            raise DownstreamCutError(f"the answer is larger than {limit} bytes")
    return bytes(body)
