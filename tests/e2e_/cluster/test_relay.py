from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from e2e.cluster import relay


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers when the client has ended its half: all that it sent, in capitals."""
    writer.write((await reader.read()).upper())
    writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    async with await asyncio.start_server(_echo, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def _through(port: int) -> tuple[asyncio.Task[None], int]:
    listener = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(relay.serve(listener, "127.0.0.1", port))
    return task, listener.getsockname()[1]


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("size", [3, 3_000_000])
async def test_both_directions_are_passed_on_and_each_end_too(echo: int, size: int) -> None:
    task, port = await _through(echo)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"a" * size)
    writer.write_eof()
    assert await reader.read() == b"A" * size
    writer.close()
    await _end(task)


async def test_connections_do_not_wait_for_each_other(echo: int) -> None:
    task, port = await _through(echo)
    _, idle = await asyncio.open_connection("127.0.0.1", port)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"b")
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 10) == b"B"
    writer.close()
    idle.close()
    await _end(task)


async def test_where_an_address_refuses_the_connection_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    task, port = await _through(nobody)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    await _end(task)


@pytest.mark.parametrize(
    ("text", "parts"),
    [("web.default:80", ("web.default", 80)), ("10.0.0.1:8080", ("10.0.0.1", 8080)), ("[::1]:9", ("::1", 9))],
)
def test_an_address_is_split(text: str, parts: tuple[str, int]) -> None:
    assert relay.split_address(text) == parts


@pytest.mark.parametrize("text", ["web", ":80", "web:http", "web:", ""])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        relay.split_address(text)
