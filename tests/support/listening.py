"""The data plane's own listener on a real port, in a thread with the loop that it has in production."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import uvloop

from llmops_sidecars.proxy.asgi import ASGIApp
from llmops_sidecars.proxy.connection import ConnectionLimits
from llmops_sidecars.proxy.server import Listener, listener
from tests.support.asgi import eventually


@dataclass(frozen=True)
class Listening:
    """A listener that runs."""

    listener: Listener
    port: int

    @property
    def connections(self) -> int:
        """How many are open, as the listener sees it."""
        return len(self.listener.server_state.connections)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """A new connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.transport.abort()


@dataclass(frozen=True)
class Client:
    """A client that sends what it is told to, whether that is HTTP or not."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        """Send bytes; what the other side thinks of it shows when its answer is read."""
        self.writer.write(data)

    def ask(self, method: str = "GET", path: str = "/", body: bytes = b"", *fields: str) -> None:
        """Send a whole request."""
        lines = [f"{method} {path} HTTP/1.1", "host: test", f"content-length: {len(body)}", *fields, "", ""]
        self.send("\r\n".join(lines).encode() + body)

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of an answer with a Content-Length."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return int(head.split()[1]), await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """All that still comes; a reset is an end like any other."""
        received = b""
        with contextlib.suppress(ConnectionError):
            while data := await self.reader.read(65536):
                received += data
        return received


@contextlib.asynccontextmanager
async def listening(
    app: ASGIApp, limits: ConnectionLimits | None = None, refused: Callable[[str], object] = str
) -> AsyncIterator[Listening]:
    """Listen on a port of this machine until the block ends; `refused` is told the codes of refusals."""
    made = listener(app, host="127.0.0.1", limits=limits, refused=refused)
    thread = threading.Thread(target=_run, args=(made,), daemon=True)
    thread.start()
    await eventually(lambda: made.started)
    try:
        yield Listening(made, int(made.servers[0].sockets[0].getsockname()[1]))
    finally:
        made.should_exit = True
        await asyncio.to_thread(thread.join, 10)
        assert not thread.is_alive(), "the listener did not end"


def _run(made: Listener) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(made.serve())
