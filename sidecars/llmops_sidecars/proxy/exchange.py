"""One request on a connection and its answer: uvicorn's, with less work for each."""

from __future__ import annotations

from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from llmops_sidecars.proxy.asgi import Message, Receive, Receiver

NO_BODY = frozenset({204, 304})
"""Statuses whose answers have no body, nor say how it is framed."""

CONTROLS = bytes({*range(32), 127} - {ord("\t")})
"""What must not stand in a header's value: it could end the header."""


class Exchange(RequestResponseCycle):
    """The exchange. Its `receive` is a `Receiver`: whoever answers need not wait for the client to leave."""

    _when_left: Callable[[], object] | None = None

    @property
    def receive(self) -> Receiver:  # type: ignore[override]
        """A new one: one that was kept here would keep this in a circle."""
        return _Receiver(self, super().receive)  # type: ignore[arg-type]

    def when_left(self, call: Callable[[], object] | None) -> None:
        """Have this called when the client leaves, at once when it has left."""
        self._when_left = call
        if self.disconnected and call is not None:
            call()

    def leave(self) -> None:
        """The client has left, or is done with."""
        self.disconnected = True
        self.message_event.set()
        if self._when_left is not None:
            self._when_left()

    def whole(self) -> bytes | None:
        """The body, once, when all of it has come."""
        if self.more_body or self.disconnected or self.response_complete or not self.message_event.is_set():
            return None
        self.message_event.clear()
        self.flow.resume_reading()
        body, self.body = bytes(self.body), bytearray()
        return body

    async def send(self, message: Message) -> None:  # type: ignore[override]
        """Write a message of the application, as soon as the client takes it; to one that has left, nothing."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start" and not self.response_started:
            self._start(message)
        elif message["type"] == "http.response.body" and self.response_started and not self.response_complete:
            self._go_on(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"{message['type']!r} is not what comes next")

    def _start(self, message: Message) -> None:
        """Status and header fields; their names are in lower case."""
        fields, status = [*self.default_headers, *message.get("headers", ())], message["status"]
        values = b"".join([value for _, value in fields])
        if len(values.translate(None, CONTROLS)) < len(values):
            raise RuntimeError("a header field with a control character")
        self.response_started, self.waiting_for_100_continue = True, False
        self.chunked_encoding = status not in NO_BODY and self.scope["method"] != "HEAD"
        for name, value in fields:
            if name == b"content-length":
                self.expected_content_length, self.chunked_encoding = int(value), False
            elif name == b"connection":
                self.keep_alive = self.keep_alive and value.lower() != b"close"
        if not self.keep_alive:
            fields = [*(field for field in fields if field[0] != b"connection"), (b"connection", b"close")]
        if self.chunked_encoding:
            fields.append((b"transfer-encoding", b"chunked"))
        lines = [name + b": " + value for name, value in fields]
        self.transport.write(STATUS_LINE[status] + b"\r\n".join([*lines, b"", b""]))

    def _go_on(self, body: bytes, *, more: bool) -> None:
        """A piece of the body; after the last one the connection is idle, or closed."""
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
        elif not self.chunked_encoding:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0 or (self.expected_content_length and not more):
                raise RuntimeError("an answer of another length than its head says")
            self.transport.write(body)
        else:
            piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self.transport.write(piece if more else piece + b"0\r\n\r\n")
        if not more:
            self._end()

    def _end(self) -> None:
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


class _Receiver(Receiver):
    """An exchange's."""

    def __init__(self, exchange: Exchange, receive: Receive) -> None:
        super().__init__(receive)
        self._exchange = exchange

    def whole(self) -> bytes | None:
        return self._exchange.whole()

    def when_left(self, call: Callable[[], object] | None) -> None:
        self._exchange.when_left(call)
