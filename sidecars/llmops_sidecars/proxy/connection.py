"""One connection of a client, and what it may take: time, memory, and a place among the others.

uvicorn bounds how long a connection may be idle, and reads or writes no faster than the other side. What it leaves to
the client is bounded here: how long a head may take and how large it may be, how much may surround a body, how long
what is written may stay unread, and how many connections there may be. Deadlines are looked at by `check`, which the
listener calls now and then: a timer for each request would cost more than the request's parsing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from llmops_sidecars.openai.errors import (
    ApiError,
    head_too_large,
    head_too_slow,
    malformed_request,
    too_many_connections,
)
from llmops_sidecars.proxy.asgi import BODY_SECONDS, JSON, ASGIApp, error_headers
from llmops_sidecars.proxy.exchange import Exchange
from llmops_sidecars.proxy.tls import STATE_KEY, peer_of

TAKEN_BYTES = 16 * 1024
"""What a client has to take of its answer within `unread_seconds`, or all of it."""

LINGER_SECONDS = 2.0
"""How long a client may go on sending after it was refused: what is cut while it sends may not see why."""

FRAMING = 8
"""Bytes around each byte of a body: the smallest chunk has one byte of data and five of framing."""


@dataclass(frozen=True)
class ConnectionLimits:
    """What connections may take, in seconds and bytes.

    Gateways and address translation put many clients behind one address, so one may have half of all connections.
    """

    head_seconds: float = 10.0
    """From a connection's start, or from a further request's first byte, until the head is complete.

    A TLS handshake has as long, and so has the other side's word at the end of TLS.
    """
    head_bytes: int = 32 * 1024
    """Request line and header fields; also what may surround a body beyond its chunks' sizes."""
    unread_seconds: float = 30.0
    """How long a client may take none of what is written."""
    unsent_bytes: int = 64 * 1024
    """What the kernel holds of an answer beside what is under way; as much again is held here."""
    connections: int = 4096
    connections_of_one: int = 2048
    """Of one address."""


class ListenerConfig(uvicorn.Config):
    """A listener's configuration, with what its connections share."""

    def __init__(
        self, app: ASGIApp, limits: ConnectionLimits, refused: Callable[[str], object], **options: Any
    ) -> None:
        """`refused` is told the code of each error that a client gets here; `options` are uvicorn's."""
        super().__init__(app, http=Connection, **options)
        self.limits, self.refused = limits, refused
        self.addresses: Counter[str] = Counter()
        """Open connections by the client's address."""


class Connection(HttpToolsProtocol):
    """The protocol of one connection.

    One request at a time: a client that sends the next one before its answer gets that answer, and then the connection
    ends, as HTTP allows. uvicorn would not see such a client leave.
    """

    cycle: Exchange

    def __init__(
        self,
        config: ListenerConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits, self._addresses, self._tell = config.limits, config.addresses, config.refused
        self._address = ""
        self._due = float("inf")
        """When the client must have sent what it owes, in the loop's time."""
        self._in_head = self._in_body = self._resting = self._refused = False
        self._head_bytes = self._body_bytes = self._framing_bytes = 0
        self._error: ApiError | None = None
        self._unread: tuple[int, float] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember what certificate it has shown, which its requests find in their state; refuse one too many."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, STATE_KEY: peer_of(transport)}
        self._await(self._limits.head_seconds)
        self._address = self.client[0] if self.client else ""
        self._addresses[self._address] += 1
        many_of_one = self._address and self._addresses[self._address] > self._limits.connections_of_one
        if many_of_one or len(self.connections) > self._limits.connections:
            self._refused = True
            transport.write(self._told(too_many_connections()))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more, and tell who answers its request."""
        super().connection_lost(exc)
        if self.cycle is not None:
            self.cycle.leave()
        self._addresses[self._address] -= 1
        if not self._addresses[self._address]:
            del self._addresses[self._address]

    def data_received(self, data: bytes) -> None:
        """Parse it, within the bounds."""
        if self._refused:
            return
        if self._in_body:
            self._framing_bytes += len(data)
        else:
            self._head_bytes += len(data)
            if self._resting:
                self._resting = False
                self._await(self._limits.head_seconds)
        super().data_received(data)
        if self._in_head and self._head_bytes > self._limits.head_bytes:
            self._refuse(head_too_large(self._limits.head_bytes))
        elif self._in_body and self._framing_bytes > self._limits.head_bytes + FRAMING * self._body_bytes:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """A request begins; raises when the last one is not answered yet, which ends the parsing."""
        if not self._idle:
            raise ValueError("a request before the answer to the last one")
        self._in_head = True
        self._due = min(self._due, self.loop.time() + self._limits.head_seconds)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there; raises when it is too large, which ends the parsing."""
        if self._head_bytes > self._limits.head_bytes and self._size() > self._limits.head_bytes:
            self._error = head_too_large(self._limits.head_bytes)
            raise ValueError("the head is too large")
        self._in_head, self._in_body, self._due = False, True, float("inf")
        self._head_bytes = self._body_bytes = self._framing_bytes = 0
        self._begin()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body_bytes += len(body)
        self._framing_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The whole request is there; the connection is idle when it was answered before that."""
        self._in_body = False
        super().on_message_complete()
        if self._idle:
            self._rest()

    def on_response_complete(self) -> None:
        """The request is answered, perhaps before all of it was read."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self._in_body:
            self._await(BODY_SECONDS)
        else:
            self._rest()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the parser's words, which the log has
        """Refuse what cannot be parsed."""
        self._refuse(self._error or malformed_request())

    def check(self, now: float) -> None:
        """End it when the client is late with what it owes, or does not read what was written."""
        if now > self._due and self._refused:
            self.transport.abort()
        elif now > self._due:
            self._refuse(head_too_slow() if self._in_head else None)
        unread = self.transport.get_write_buffer_size()
        if not unread or not (self.flow.write_paused or self._idle or self.transport.is_closing()):
            self._unread = None
        elif self._unread is None or unread <= self._unread[0] - TAKEN_BYTES:
            self._unread = (unread, now)
        elif now - self._unread[1] > self._limits.unread_seconds:
            self.transport.abort()

    @property
    def _idle(self) -> bool:
        """Whether no request waits for its answer."""
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # none at first

    def _begin(self) -> None:
        """Have the application answer the request whose head is there."""
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        self.scope["method"], version = self.parser.get_method().decode("ascii"), self.parser.get_http_version()
        self.scope["http_version"] = version
        self.scope["path"], self.scope["raw_path"] = unquote(path) if "%" in path else path, url.path
        self.scope["query_string"] = url.query or b""
        self.cycle = Exchange(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self._start_asgi_task(self.cycle, self.app)

    def _rest(self) -> None:
        """The client may take its time until the next request."""
        self._resting = True
        self._await(self.timeout_keep_alive)

    def _await(self, seconds: float) -> None:
        self._due = self.loop.time() + seconds

    def _size(self) -> int:
        """The size of the head, without its separators."""
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _refuse(self, error: ApiError | None) -> None:
        """Read nothing more, and close: with this error, or after the answer that is under way."""
        self._refused, self._due = True, float("inf")
        if self._idle:
            self._leave(error)
        elif not self._in_body:
            self.cycle.keep_alive = False
        elif self.cycle.response_started:
            self.transport.abort()
        else:
            self.cycle.leave()
            self._leave(error)

    def _told(self, error: ApiError) -> bytes:
        """The response for an error that only this connection knows of."""
        self._tell(error.code)
        return _response(error)

    def _leave(self, error: ApiError | None) -> None:
        """Close; after an error only when the client has, or soon."""
        if error is not None:
            self.transport.write(self._told(error))
        if error is not None and self.transport.can_write_eof():
            self.transport.write_eof()
            self._await(LINGER_SECONDS)
        else:
            self.transport.close()


def _response(error: ApiError) -> bytes:
    """An error as a whole response, for clients whose request no application will see."""
    body = error.encode()
    fields = dict((JSON, *error_headers(error), (b"content-length", b"%d" % len(body)), (b"connection", b"close")))
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}".encode()]
    lines += [name + b": " + value for name, value in fields.items()]
    return b"\r\n".join((*lines, b"", body))
