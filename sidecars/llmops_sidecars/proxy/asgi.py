"""ASGI without a framework: bodies in, JSON and streams out, clients that leave or do not read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from typing import Any, NamedTuple, TypeVar

from llmops_sidecars.openai.errors import ApiError, body_too_large, body_too_slow, compressed_body, invalid_request
from llmops_sidecars.openai.events import error_event
from llmops_sidecars.proxy.deadline import Deadline

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

Headers = Iterable[tuple[bytes, bytes]]
"""Header fields, names in lower case."""

BODY_SECONDS = 30.0
"""How long a request's body may take to arrive."""


class Pace(NamedTuple):
    """How fast a body has to arrive: at any rate for its first seconds, then at this one, and all of it in time."""

    seconds: float = BODY_SECONDS
    first_seconds: float = 5.0
    bytes_per_second: float = 1024.0

    def allowed(self, received: int) -> float:
        """Seconds from the beginning within which more than `received` bytes must have arrived."""
        return min(self.seconds, self.first_seconds + received / self.bytes_per_second)


PACE = Pace()

TIMED_OUT, UNAUTHORIZED = 408, 401

JSON = (b"content-type", b"application/json")
"""The header of a JSON body."""

T = TypeVar("T")
Body = TypeVar("Body", bytes, bytearray)


class ClientDisconnectedError(Exception):
    """The client has left: nothing can be answered, and nothing more should be done for it."""


def header(scope: Scope, name: bytes) -> str | None:
    """A request header's value; `name` in lower case. None when it is missing."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


async def read_body(scope: Scope, receive: Receive, limit: int, *, pace: Pace = PACE) -> bytes:
    """The whole body, at most `limit` bytes.

    Raises ApiError: 413 as soon as it is known to be larger (from the header, without reading it), 415 for a
    compressed one, 400 for a Content-Length that is no number, 408 when it arrives more slowly than `pace`; and
    ClientDisconnectedError.
    """
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() not in {b"identity", b""}:
            raise compressed_body()
        if name == b"content-length" and _length(value) > limit:
            raise body_too_large(limit)
    whole = receive.whole() if isinstance(receive, Receiver) else None
    if whole is not None:
        return _within(limit, whole)
    try:
        return await _read(receive, limit, pace)
    except TimeoutError as error:
        raise body_too_slow() from error


async def send_json(send: Send, status: int, body: bytes, headers: Headers = ()) -> None:
    """Answer with JSON."""
    await StreamSender(send).whole(status, body, (JSON, *headers))


async def send_body(send: Send, status: int, body: bytes, headers: Headers = ()) -> None:
    """Answer with a whole body."""
    await StreamSender(send).whole(status, body, headers)


async def send_error(send: Send, error: ApiError, headers: Headers = ()) -> None:
    """Answer with an error's envelope and, where it has one, `Retry-After`."""
    await send_failure(StreamSender(send), error, headers)


async def send_failure(sender: StreamSender, error: ApiError, headers: Headers = ()) -> None:
    """Answer with an error, or, when a stream has begun, end it with an error event."""
    if sender.started:
        await sender.end(sender.failing(error))
    else:
        await sender.whole(error.status, error.encode(), (JSON, *error_headers(error), *headers))


def error_headers(error: ApiError) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that belong to an error; a body that arrives too slowly takes its connection with it.

    The rest of one that is refused for another reason is read and dropped by the listener: who is cut while it sends
    would not see why.
    """
    fields = []
    if error.retry_after is not None:
        fields.append((b"retry-after", str(error.retry_after).encode()))
    if error.allow is not None:
        fields.append((b"allow", error.allow.encode()))
    if error.status == UNAUTHORIZED:
        fields.append((b"www-authenticate", b"Bearer"))
    if error.status == TIMED_OUT:
        fields.append((b"connection", b"close"))
    return tuple(fields)


class StreamSender:
    """Sends a response in pieces; a client that takes none is given up by its connection, and counts as gone."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        """Whether the status has left: an error can then only be an event."""
        self.failing: Callable[[ApiError], bytes] = error_event
        """What ends a stream that has begun with an error."""

    async def start(self, status: int, headers: Headers) -> None:
        """Send status and headers."""
        self.started = True
        await self._sent({"type": "http.response.start", "status": status, "headers": list(headers)})

    async def write(self, data: bytes) -> None:
        """Send a piece of the body; nothing for no bytes."""
        if data:
            await self._sent({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        """Send the last piece."""
        await self._sent({"type": "http.response.body", "body": data, "more_body": False})

    async def whole(self, status: int, body: bytes, headers: Headers = (JSON,)) -> None:
        """Send a whole response."""
        await self.start(status, (*headers, (b"content-length", str(len(body)).encode())))
        await self.end(body)

    async def _sent(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError as error:
            raise ClientDisconnectedError from error


class Receiver:
    """ASGI's `receive` that need not be awaited: it gives what has come, and calls back when the client leaves."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = False
        self._call: Callable[[], object] | None = None

    def __call__(self) -> Awaitable[Message]:
        """The next message."""
        return self._receive()

    def whole(self) -> bytes | None:
        """The body, once, when all of it has come; None where that is not known."""
        return None

    def when_left(self, call: Callable[[], object] | None) -> None:
        """Have this called, and nothing else from now on, when the client leaves; at once when it has left."""
        self._call = call
        if self._left and call is not None:
            call()

    def leave(self) -> None:
        """The client has left."""
        self._left = True
        if self._call is not None:
            self._call()


def receiver(receive: Receive) -> Receiver:
    """A `receive` of any server as one that calls back."""
    return receive if isinstance(receive, Receiver) else _WaitingReceiver(receive)


async def until_disconnect(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Run `work` unless the client leaves: then it is cancelled, has ended, and ClientDisconnectedError is raised.

    To be called once the body has been read: what `receive` says after that is that the client has left.
    """
    client, watch = receiver(receive), _Watch(asyncio.current_task())
    client.when_left(watch.leave)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.left and not watch.working.uncancel():
            raise ClientDisconnectedError from None
        raise
    finally:
        client.when_left(None)


async def cancel(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait until they have ended; their results and errors are dropped."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _WaitingReceiver(Receiver):
    """Has a task wait for the message that the client has left, as long as somebody wants to know."""

    _waiting: asyncio.Task[None] | None = None

    def when_left(self, call: Callable[[], object] | None) -> None:
        super().when_left(call)
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = None if call is None else asyncio.ensure_future(self._wait())

    async def _wait(self) -> None:
        while (await self())["type"] != "http.disconnect":
            pass
        self.leave()


class _Watch:
    """Cancels a task when the client leaves."""

    def __init__(self, working: asyncio.Task[Any] | None) -> None:
        assert working is not None, "there is a task wherever something is awaited"  # noqa: S101 - for mypy
        self.working = working
        self.left = False

    def leave(self) -> None:
        if not self.left:
            self.left = True
            self.working.cancel()


def _length(value: bytes) -> int:
    if not value.isdigit():
        raise invalid_request("Content-Length must be a number of bytes.", code="invalid_header")
    return int(value)


def _within(limit: int, body: Body) -> Body:
    if len(body) > limit:
        raise body_too_large(limit)
    return body


async def _read(receive: Receive, limit: int, pace: Pace) -> bytes:
    body, now = bytearray(), asyncio.get_running_loop().time
    began = now()
    while True:
        with Deadline(began + pace.allowed(len(body)) - now()):
            message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        body += message.get("body", b"")
        _within(limit, body)
        if not message.get("more_body", False):
            return bytes(body)
