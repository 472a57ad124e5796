"""What a request leaves behind goes with it: nothing waits for the collector of cycles, whose full passes are rare."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop

from llmops_sidecars.proxy.client import SocketDownstream
from llmops_sidecars.proxy.server import Listener, listener
from tests.sidecars_.guard.kit import CHAT, SECRET, TALK, Guard, Talker, contract, question
from tests.support.asgi import eventually

REQUESTS = 5
ASKED: dict[str, bytes] = {
    "whole": msgspec.json.encode(question()),
    "streamed": msgspec.json.encode(question(stream=True)),
    "obfuscated": msgspec.json.encode(question(stream=True, stream_options={"include_obfuscation": True})),
    "completions": msgspec.json.encode({"model": "chat", "prompt": "Hello", "stream": True}),
    "responses": msgspec.json.encode({"model": "chat", "input": "Hello", "stream": True}),
    "blocked": msgspec.json.encode(question(SECRET)),
    "wrong": b"{",
    "left": msgspec.json.encode(question(TALK, stream=True)),
}
PATHS = {"completions": "/v1/completions", "responses": "/v1/responses"}


@contextmanager
def watched() -> Iterator[list[Any]]:
    """What only a collector of cycles would have freed, of this project's classes."""
    found: list[Any] = []
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        found += (one for one in gc.garbage if type(one).__module__.startswith("llmops_sidecars"))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


async def ask(port: int, kind: str) -> None:
    """One request on a connection of its own, which is cut at the first event where the client is to leave."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = ASKED[kind]
    head = (f"POST {PATHS.get(kind, CHAT)} HTTP/1.1", "host: x", f"content-length: {len(body)}", "connection: close")
    writer.write("\r\n".join((*head, "", "")).encode() + body)
    if kind == "left":
        await reader.readuntil(b"word ")
        writer.transport.abort()
    else:
        assert await reader.read()
    writer.close()


@asynccontextmanager
async def heard(made: Listener) -> AsyncIterator[Listener]:
    """It listens until the block ends."""
    task = asyncio.create_task(made.serve())
    await eventually(lambda: made.started)
    try:
        yield made
    finally:
        made.should_exit = True
        await task


async def garbage(kind: str, directory: Path) -> list[Any]:
    """What some requests of a kind leave to the collector, in the guard and in its way down."""
    below, downstream = Talker(), SocketDownstream(str(directory / "below"))
    guard = Guard(directory, downstream)
    guard.use(contract())
    async with heard(listener(below, socket=directory / "below")), heard(listener(guard.app, host="127.0.0.1")) as made:
        port = made.servers[0].sockets[0].getsockname()[1]
        await ask(port, kind)  # what is made once
        with watched() as found:
            for _ in range(REQUESTS):
                await ask(port, kind)
            await eventually(lambda: below.left in (0, 1 + REQUESTS) and not made.server_state.connections)
        await downstream.close()
    return found


@pytest.mark.parametrize("kind", ASKED)
def test_a_request_leaves_no_cycle_behind(kind: str, tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(garbage(kind, tmp_path))
    assert not found, sorted({type(one).__qualname__ for one in found})
