"""Calling ASGI applications in tests: in this process, or behind a real server on a Unix socket or a port."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from llmops_sidecars.openai.events import EventSplitter
from llmops_sidecars.proxy.asgi import ASGIApp, Headers
from llmops_sidecars.proxy.inprocess import AppDownstream

WAIT_SECONDS = 10.0


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """What the error envelope holds."""
        return dict(self.json["error"])

    @property
    def events(self) -> list[Any]:
        """The data of the events, as JSON where it is JSON."""
        return events_of(self.body)

    @property
    def text(self) -> str:
        """The content of a streamed answer."""
        chunks = [event for event in self.events if isinstance(event, dict)]
        deltas = [choice["delta"] for chunk in chunks for choice in chunk.get("choices", ())]
        return "".join(delta.get("content") or "" for delta in deltas)


def events_of(body: bytes) -> list[Any]:
    """The data of the events in a body; `[DONE]` stays text."""
    splitter = EventSplitter()
    found = splitter.feed(body)
    assert not splitter.pending, "the body ends inside an event"
    return ["[DONE]" if data == b"[DONE]" else msgspec.json.decode(data) for data in found]


async def call(
    app: ASGIApp, method: str = "GET", path: str = "/", *, body: bytes | object = b"", headers: Headers = ()
) -> Answer:
    """Send one request to an application in this process; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    async with AppDownstream(app).request(method, path, headers, content) as response:
        received = b"".join([data async for data in response.stream()])
        return Answer(response.status, dict(response.headers), received)


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, *, socket: Path | None = None, port: int = 0) -> AsyncIterator[str]:
    """A real server around an application; gives its URL. Connections still open at the end are cut."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        uds=None if socket is None else str(socket),
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=0,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started or task.done())
    try:
        yield "http://localhost" if socket else f"http://127.0.0.1:{_port(server)}"
    finally:
        server.should_exit = True
        await task


async def eventually(condition: Callable[[], object | Awaitable[object]], seconds: float = WAIT_SECONDS) -> None:
    """Wait until a condition holds; fails the test when it does not in time."""
    async with asyncio.timeout(seconds):
        while True:
            result = condition()
            if await result if isinstance(result, Awaitable) else result:
                return
            await asyncio.sleep(0.005)


class Sent:
    """A `send` that remembers."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def __call__(self, message: Any) -> None:
        self.messages.append(message)

    @property
    def body(self) -> bytes:
        """All of the body."""
        return b"".join(message.get("body", b"") for message in self.messages)


def receiving(*messages: dict[str, Any]) -> Callable[[], Awaitable[dict[str, Any]]]:
    """A `receive` that gives these messages, and then nothing for ever."""
    left = iter(messages)

    async def receive() -> dict[str, Any]:
        for message in left:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def _port(server: uvicorn.Server) -> int:
    return int(server.servers[0].sockets[0].getsockname()[1])
