"""The next component behind a Unix socket or a URL: HTTP/1.1 with kept connections, for hops that every request takes.

What these hops do not need is not here (redirects, cookies, proxies, compression, HTTP/2): that saves most of a general
client's time.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlsplit

import httptools

from llmops_sidecars.proxy.asgi import Headers
from llmops_sidecars.proxy.deadline import Deadline
from llmops_sidecars.proxy.downstream import (
    CONNECT_SECONDS,
    DownstreamCutError,
    DownstreamResponse,
    DownstreamUnavailableError,
)

IDLE_SECONDS = 15.0
"""How long a connection is kept for the next request; our own servers keep it longer (`SERVER_IDLE_SECONDS`)."""

MOST_UNREAD = 256 * 1024
"""Bytes of an answer that wait for their reader; then the writer is held back."""

MOST_HEAD = 64 * 1024
"""Bytes of an answer's header fields."""

HTTPS_PORT, HTTP_PORT = 443, 80
FIRST_FINAL = 200
"""Answers below are no answers yet: RFC 9110, section 15.2."""


class _Pooled(ABC):
    """Requests over kept or new connections."""

    host = "localhost"
    prefix = ""
    keep = True

    def __init__(self) -> None:
        self._idle: list[_Connection] = []

    def request(self, method: str, path: str, headers: Headers = (), body: bytes = b"") -> _Request:
        """Send a request over a kept or a new connection."""
        return _Request(self, self._encoded(method, path, headers, body))

    async def close(self) -> None:
        """Close idle connections; the next request opens a new one."""
        while self._idle:
            self._idle.pop().abort()

    @abstractmethod
    async def connect(self) -> _Connection:
        """A new connection; raises OSError, ssl.SSLError and TimeoutError."""

    async def asked(self, request: bytes) -> _Connection:
        """A connection whose answer has begun. One that was kept may have ended just now: then another is asked."""
        while True:
            kept = self._take()
            connection = kept or await self._connected()
            try:
                connection.ask(request)
                await connection.head()
            except DownstreamUnavailableError:
                if kept is None:
                    raise
            except BaseException:
                connection.abort()
                raise
            else:
                return connection

    def _take(self) -> _Connection | None:
        """The connection that was used last and is still good."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and now - connection.used < IDLE_SECONDS:
                return connection
            connection.abort()
        return None

    async def _connected(self) -> _Connection:
        try:
            return await self.connect()
        except (OSError, TimeoutError) as error:
            raise DownstreamUnavailableError(_reason(error), refused=True) from error

    def give_back(self, connection: _Connection) -> None:
        """Keep a connection whose whole answer was read; closing any other is what cancels its request."""
        if connection.reusable and self.keep:
            connection.used = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.abort()

    def _encoded(self, method: str, path: str, headers: Headers, body: bytes) -> bytes:
        fields = b"".join([name + b": " + value + b"\r\n" for name, value in headers])
        start = f"{method} {self.prefix}{path} HTTP/1.1\r\nhost: {self.host}\r\n".encode()
        ending = b"" if self.keep else b"connection: close\r\n"
        return b"%b%b%bcontent-length: %d\r\n\r\n%b" % (start, fields, ending, len(body), body)


class _Request(AbstractAsyncContextManager[DownstreamResponse]):
    """A request, sent when its block begins; the block has the answer."""

    def __init__(self, pool: _Pooled, data: bytes) -> None:
        self._pool, self._data = pool, data

    async def __aenter__(self) -> DownstreamResponse:
        self._connection = await self._pool.asked(self._data)
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        self._pool.give_back(self._connection)


class SocketDownstream(_Pooled):
    """Another process behind a Unix socket."""

    def __init__(self, path: str) -> None:
        """Connect when something is asked."""
        super().__init__()
        self._path = path

    async def connect(self) -> _Connection:
        """A new connection."""
        with Deadline(CONNECT_SECONDS):
            _, connection = await asyncio.get_running_loop().create_unix_connection(_Connection, self._path)
        return connection


class HttpDownstream(_Pooled):
    """A server behind an http or https URL. Redirects are answers like any other.

    `keep_connections`: keep idle ones for the next request; not for a server that waits for idle ones at its exit.
    `tls`: whom to trust; the system's authorities when left out.
    """

    def __init__(
        self,
        url: str,
        *,
        keep_connections: bool = True,
        connect_seconds: float = CONNECT_SECONDS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__()
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._name = parts.hostname or ""
        self._port = parts.port or (HTTPS_PORT if self._secure else HTTP_PORT)
        self._seconds, self._tls = connect_seconds, tls
        self.host, self.prefix, self.keep = parts.netloc, parts.path.rstrip("/"), keep_connections

    async def connect(self) -> _Connection:
        """A new connection, to the first of the name's addresses that answers."""
        with Deadline(self._seconds):
            _, connection = await asyncio.get_running_loop().create_connection(
                _Connection,
                self._name,
                self._port,
                ssl=(self._tls or _trusted()) if self._secure else None,
            )
        return connection


def _reason(error: Exception) -> str:
    """Why there is no connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return f"nobody listens: {getattr(error, 'strerror', None) or type(error).__name__}"


@functools.cache
def _trusted() -> ssl.SSLContext:
    """The system's authorities; reading them takes tens of milliseconds."""
    return ssl.create_default_context()


class _Connection(asyncio.Protocol):
    """A connection, and the answer to the request that it has; the parser calls the `on_` methods."""

    def __init__(self) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self._transport: Any = None
        self._waiter: asyncio.Future[None] | None = None
        self._lost = self._paused = False
        self.used = 0.0
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self._fields: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._unread = 0
        self._head_bytes = 0
        self._complete = self._keep = False

    @property
    def headers(self) -> dict[str, str]:
        """The answer's header fields."""
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self._fields}

    @property
    def reusable(self) -> bool:
        """Whether it can take another request: its answer has been read to its end, and it is still open."""
        return self._complete and self._keep and not self._pieces and not self._lost

    def ask(self, request: bytes) -> None:
        """Send a request."""
        self._reset()
        if not self._lost:
            self._transport.write(request)

    async def head(self) -> None:
        """Wait for status and headers; raises DownstreamUnavailableError."""
        while not self.status:
            if self._lost:
                raise DownstreamUnavailableError("no answer: the connection ended")
            await self._change()

    async def read(self) -> bytes:
        """What has come of the body."""
        while not self._pieces:
            if self._complete:
                return b""
            if self._lost:
                raise DownstreamCutError("the answer was cut: the connection ended")
            await self._change()
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._unread = 0
        if self._paused and not self._lost:
            self._paused = False
            self._transport.resume_reading()
        return data

    async def stream(self) -> AsyncIterator[bytes]:
        """The body's pieces."""
        while data := await self.read():
            yield data

    def abort(self) -> None:
        """Close it at once."""
        self._lost = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Parse; what is not HTTP ends the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()
        if self._unread > MOST_UNREAD and not self._paused and not self._lost:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell whoever waits; let go of what refers back to this, so that it is gone with its last user."""
        self._lost = True
        self._parser = self._transport = None
        self._wake()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header field."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MOST_HEAD:
            self.abort()
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is there, unless it is that of an answer that only announces another."""
        status = self._parser.get_status_code()
        if status >= FIRST_FINAL and not self._lost:
            self.status = status
        else:
            self._fields = []

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._pieces.append(data)
        self._unread += len(data)

    def on_message_complete(self) -> None:
        """The answer's end."""
        if self.status:
            self._complete, self._keep = True, self._parser.should_keep_alive()

    async def _change(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
