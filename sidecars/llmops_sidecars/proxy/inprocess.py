"""The next component in the same process: for `serve`, and for tests without ports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from llmops_sidecars.proxy.asgi import (
    ASGIApp,
    Headers,
    Message,
    Receive,
    Receiver,
    Scope,
    Send,
    cancel,
    receiver,
)
from llmops_sidecars.proxy.downstream import DownstreamCutError, DownstreamResponse, DownstreamUnavailableError

LEAVE_SECONDS = 1.0
"""How long an application may go on after its client has left, before its task is cancelled."""

QUEUED_MESSAGES = 4
"""How far an application may run ahead of its reader."""

_log = logging.getLogger(__name__)


class _Given(Receiver):
    """A request's `receive`: its body, which is there, then what `rest` has to say."""

    def __init__(self, body: bytes, rest: Receive) -> None:
        super().__init__(rest)
        self._body: bytes | None = body

    async def __call__(self) -> Message:
        """The next message."""
        body = self.whole()
        return await super().__call__() if body is None else {"type": "http.request", "body": body, "more_body": False}

    def whole(self) -> bytes | None:
        """The body, once."""
        body, self._body = self._body, None
        return body


async def _until(left: asyncio.Event) -> Message:
    await left.wait()
    return {"type": "http.disconnect"}


class _Exchange:
    """One request to an application, and what it has answered so far. It is the response too."""

    def __init__(self, app: ASGIApp, scope: Scope, body: bytes) -> None:
        self._left = asyncio.Event()
        self._receiver = _Given(body, partial(_until, self._left))
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue(QUEUED_MESSAGES)
        self._ended = False
        self._task = asyncio.create_task(self._run(app, scope))
        self.status = 0
        self.headers: dict[str, str] = {}

    async def head(self) -> None:
        """Wait for status and headers."""
        message = await self._messages.get()
        if message is None:
            raise DownstreamUnavailableError("the application ended without an answer")
        self.status = message["status"]
        fields = message.get("headers", ())
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in fields}

    async def read(self) -> bytes:
        """The body's next piece."""
        while not self._ended:
            message = await self._messages.get()
            if message is None:
                raise DownstreamCutError("the application ended in the middle of its answer")
            self._ended = not message.get("more_body", False)
            if message.get("body"):
                return bytes(message["body"])
        return b""

    async def stream(self) -> AsyncIterator[bytes]:
        """The body's pieces."""
        while data := await self.read():
            yield data

    async def leave(self) -> None:
        """Let the application end: by itself after a whole answer or when it sees that its client has left."""
        self._left.set()
        self._receiver.leave()
        while not self._messages.empty():
            self._messages.get_nowait()
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await asyncio.wait({self._task})
        except TimeoutError:
            pass
        finally:
            await cancel(self._task)

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        """Run the application; None is its last message, whatever became of it."""
        try:
            await app(scope, self._receiver, self._send)
        except Exception:  # noqa: BLE001 - as a server: the reader sees an answer that ends, the log says why
            _log.exception("an application in this process failed")
        await self._messages.put(None)

    async def _send(self, message: Message) -> None:
        """Take a message; after the client has left it goes nowhere, as with a server."""
        if not self._left.is_set():
            await self._messages.put(message)


class AppDownstream:
    """An ASGI application as the next component."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    @asynccontextmanager
    async def request(
        self, method: str, path: str, headers: Headers = (), body: bytes = b""
    ) -> AsyncIterator[DownstreamResponse]:
        """Run the application on a request."""
        exchange = _Exchange(self._app, _scope(method, path, headers, body), body)
        try:
            await exchange.head()
            yield exchange
        finally:
            await exchange.leave()

    async def run(self, path: str, headers: Headers, body: bytes, receive: Receive, send: Send) -> None:
        """POST in the task of the caller, who gets the messages as they are made; `receive` tells when he has left."""
        await self._app(_scope("POST", path, headers, body), _Asking(body, receiver(receive)), send)

    async def close(self) -> None:
        """Nothing is kept open."""


class _Asking(_Given):
    """A request's `receive`, of which the caller's own knows when its client has left."""

    def __init__(self, body: bytes, caller: Receiver) -> None:
        super().__init__(body, caller)
        self._caller = caller

    def when_left(self, call: Callable[[], object] | None) -> None:
        """The caller knows."""
        self._caller.when_left(call)


def _scope(method: str, path: str, headers: Headers, body: bytes) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [*headers, (b"content-length", str(len(body)).encode())],
        "client": ("127.0.0.1", 0),
        "server": None,
    }
