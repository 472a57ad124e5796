"""The guard behind its own listener: clients that take no answer cost little, and nobody else anything."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from llmops_sidecars.contract import Limits
from llmops_sidecars.proxy.connection import ConnectionLimits
from llmops_sidecars.proxy.inprocess import AppDownstream
from tests.sidecars_.guard.kit import CHAT, TALK, Guard, Talker, contract, question
from tests.support.asgi import eventually
from tests.support.listening import Listening, listening

MANY = 300
MOST_BYTES = 300_000
"""Of an answer that nobody reads: what the kernel, the listener and the guard hold of it."""


@contextlib.asynccontextmanager
async def running(talker: Talker, directory: Path, unread_seconds: float) -> AsyncIterator[Listening]:
    guard = Guard(directory, AppDownstream(talker))
    guard.use(contract(limits=Limits(concurrent_requests=2 * MANY)))
    async with listening(guard.app, ConnectionLimits(unread_seconds=unread_seconds)) as started:
        yield started


def stuck(port: int) -> socket.socket:
    """A client that asks for an endless answer and reads none of it."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    one.connect(("127.0.0.1", port))
    body = msgspec.json.encode(question(TALK, stream=True))
    one.sendall(f"POST {CHAT} HTTP/1.1\r\nhost: test\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
    return one


async def seconds_of_a_request(running: Listening) -> float:
    async with running.client() as client:
        began = time.perf_counter()
        client.ask("POST", CHAT, msgspec.json.encode(question("Hello")))
        status, _ = await client.answer()
        assert status == 200
        return time.perf_counter() - began


async def median_seconds(running: Listening) -> float:
    return statistics.median([await seconds_of_a_request(running) for _ in range(30)])


async def full(talker: Talker) -> None:
    """Wait until nothing more is taken."""
    before = -1
    while before != sum(talker.sent):
        before = sum(talker.sent)
        await asyncio.sleep(0.3)


async def test_a_client_that_stops_reading_is_given_up_and_its_generation_cancelled(tmp_path: Path) -> None:
    talker = Talker()
    async with running(talker, tmp_path, unread_seconds=1.0) as guard:
        with contextlib.closing(stuck(guard.port)):
            await eventually(lambda: talker.sent)
            began = time.monotonic()
            await eventually(lambda: talker.left == 1, 5)
            assert time.monotonic() - began > 0.5
            await eventually(lambda: guard.connections == 0)
    assert talker.sent[0] < MOST_BYTES


async def test_many_clients_that_do_not_read_slow_nobody_down(tmp_path: Path) -> None:
    talker = Talker()
    async with running(talker, tmp_path, unread_seconds=60) as guard:
        alone = await median_seconds(guard)
        with contextlib.ExitStack() as sockets:
            for _ in range(MANY):
                sockets.enter_context(contextlib.closing(stuck(guard.port)))
            await eventually(lambda: len(talker.sent) == MANY)
            await full(talker)
            beside = await median_seconds(guard)
            assert talker.left == 0
        await eventually(lambda: talker.left == MANY, 5)
        await eventually(lambda: guard.connections == 0)
    assert beside < 3 * alone + 0.01, f"{beside:.4f} s beside {MANY} slow readers, {alone:.4f} s alone"
    assert max(talker.sent) < MOST_BYTES
