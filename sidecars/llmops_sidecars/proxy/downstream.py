"""The next component: one interface for the guard to call the cache and the cache to call the engine.

    async with downstream.request("POST", "/v1/chat/completions", headers, body) as response:
        async for data in response.stream(): ...

Leaving the block before the stream has ended cancels the request: over a socket by closing its connection, in one
process by the `http.disconnect` that a server would deliver.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import aiohttp

from llmops_sidecars.proxy.asgi import Headers

CONNECT_SECONDS = 2.0
"""How long a connection may take on this machine."""

SERVER_IDLE_SECONDS = 60
"""How long a server of these components keeps idle connections: longer than aiohttp's clients (15 s), so that it never
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


class _HttpResponse:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    async def read(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise DownstreamCutError(f"the answer was cut: {type(error).__name__}") from error

    async def stream(self) -> AsyncIterator[bytes]:
        while data := await self.read():
            yield data


class HttpDownstream:
    """Another process, behind a Unix socket or a URL. Redirects are answers like any other, proxies are not used.

    `keep_connections`: keep idle ones for the next request; not for a server that waits for idle ones at its exit.
    """

    def __init__(
        self,
        *,
        socket: str | None = None,
        url: str = "http://localhost",
        keep_connections: bool = True,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self._socket = socket
        self._url = url
        self._keep = keep_connections
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds)
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def request(
        self, method: str, path: str, headers: Headers = (), body: bytes = b""
    ) -> AsyncIterator[DownstreamResponse]:
        """Send a request over a kept or a new connection."""
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        try:
            response = await self._open().request(
                method, self._url + path, headers=fields, data=body or None, allow_redirects=False
            )
        except aiohttp.ClientConnectorError as error:
            raise DownstreamUnavailableError(f"nobody listens: {error.os_error.strerror}", refused=True) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise DownstreamUnavailableError(f"no answer: {type(error).__name__}") from error
        try:
            yield _HttpResponse(response)
        finally:
            _end(response)

    async def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept-Encoding", "Content-Type"),
            )
        return self._session

    def _connector(self) -> aiohttp.BaseConnector:
        if self._socket is not None:
            return aiohttp.UnixConnector(self._socket, limit=0, force_close=not self._keep)
        return aiohttp.TCPConnector(limit=0, force_close=not self._keep)


def _end(response: aiohttp.ClientResponse) -> None:
    """Give the connection back when the whole answer was read, close it otherwise: that is what cancels."""
    if response.content.at_eof():
        response.release()
    else:
        response.close()
