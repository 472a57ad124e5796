"""The listener over real sockets: what clients cannot take from it, and what it leaves to them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from llmops_sidecars.proxy.asgi import ClientDisconnectedError, Receive, Scope, Send, cancel, read_body, send_json
from llmops_sidecars.proxy.connection import ConnectionLimits, ListenerConfig
from tests.support.asgi import eventually
from tests.support.listening import Client, Listening, listening

LIMITS = ConnectionLimits(head_seconds=0.5, head_bytes=2048, unread_seconds=0.8)
PIECE = b"x" * 4096
LARGE = 400_000


@dataclass
class App:
    """Says how long a body is; `/early` answers before it reads, `/endless` never ends, `/large` is large."""

    paths: list[str] = field(default_factory=list)
    left: int = 0
    sent: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        if scope["path"] == "/early":
            await send_json(send, 200, b"{}")
        elif scope["path"] == "/large":
            await send_json(send, 200, b" " * LARGE)
        elif scope["path"] == "/endless":
            await self._endless(receive, send)
        else:
            await self._count(scope, receive, send)

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send_json(send, 200, str(len(await read_body(scope, receive, 1 << 24))).encode())
        except ClientDisconnectedError:
            self.left += 1

    async def _endless(self, receive: Receive, send: Send) -> None:
        async def stream() -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": PIECE, "more_body": True})
                self.sent += len(PIECE)
                await asyncio.sleep(0)  # to a client that is gone, everything can be sent at once

        streaming = asyncio.ensure_future(stream())
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left += 1
        await cancel(streaming)


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
async def running(app: App) -> AsyncIterator[Listening]:
    async with listening(app, LIMITS) as started:
        yield started


async def drip(client: Client, data: bytes, seconds: float = 0.05) -> None:
    """Send a byte now and then until the other side is gone."""
    for byte in data:
        client.send(bytes([byte]))
        await asyncio.sleep(seconds)


@contextlib.asynccontextmanager
async def dripping(client: Client, data: bytes) -> AsyncIterator[None]:
    task = asyncio.ensure_future(drip(client, data))
    try:
        yield
    finally:
        await cancel(task)


def code(answer: bytes) -> Any:
    """The code of an error that stands in OpenAI's envelope."""
    return msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])["error"]["code"]


def small_window(port: int) -> socket.socket:
    """A socket that takes little before its reader reads."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    one.connect(("127.0.0.1", port))
    return one


async def test_a_slow_head_is_cut_and_a_client_beside_it_is_served(running: Listening) -> None:
    async with running.client() as slow, running.client() as healthy:
        slow.send(b"GET / HTTP/1.1\r\n")
        async with dripping(slow, b"x-slow: " + b"y" * 200):
            cut = asyncio.ensure_future(slow.rest())
            served = 0
            while not cut.done():
                healthy.ask()
                assert await healthy.answer() == (200, b"0")
                served += 1
                await asyncio.sleep(0.02)
            answer = cut.result()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert code(answer) == "head_too_slow"
    assert served > 5


@pytest.mark.parametrize("says", [b"", b"\r\n" * 50], ids=["nothing", "line ends only"])
async def test_a_client_that_never_begins_is_closed_without_a_word(running: Listening, says: bytes) -> None:
    async with running.client() as client, dripping(client, says), asyncio.timeout(3):
        assert await client.rest() == b""


@pytest.mark.parametrize(
    ("says", "status"), [(b"GET / HTTP/1.1\r\nx-slow: y", b"HTTP/1.1 408 "), (b"\r\n", b"")], ids=["head", "line end"]
)
async def test_a_further_request_has_to_arrive_in_time_too(running: Listening, says: bytes, status: bytes) -> None:
    async with running.client() as client, asyncio.timeout(3):
        client.ask()
        assert await client.answer() == (200, b"0")
        client.send(says)
        rest = await client.rest()
    assert rest.startswith(status)
    assert bool(rest) == bool(status)


async def test_a_connection_may_be_idle_for_longer_than_a_head_may_take(running: Listening) -> None:
    async with running.client() as client:
        for _ in range(2):
            client.ask("POST", body=b"12345")
            assert await client.answer() == (200, b"5")
            await asyncio.sleep(3 * LIMITS.head_seconds)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + b"x-many: 12345\r\n" * 200 + b"\r\n",
        b"GET / HTTP/1.1\r\nx-long: " + b"y" * 3000,
        b"GET /" + b"y" * 3000,
        b"POST / HTTP/1.1\r\ncontent-length: 3\r\nx-long: " + b"y" * 3000 + b"\r\n\r\nabc",
    ],
    ids=["many fields", "a field without an end", "a path without an end", "with a body"],
)
@pytest.mark.parametrize("size", [1 << 20, 100], ids=["at once", "in pieces"])
async def test_a_large_head_is_refused(running: Listening, app: App, head: bytes, size: int) -> None:
    async with running.client() as client, asyncio.timeout(3):
        for start in range(0, len(head), size):
            client.send(head[start : start + size])
            await asyncio.sleep(0)
        answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert code(answer) == "head_too_large"
    assert app.paths == []


async def test_a_small_head_with_a_large_body_is_no_large_head(running: Listening) -> None:
    async with running.client() as client:
        client.ask("POST", "/", b"b" * 100_000, "x-some: " + "y" * 1500)
        assert await client.answer() == (200, b"100000")


async def test_what_is_not_http_is_refused_in_the_envelope(running: Listening) -> None:
    async with running.client() as client:
        client.send(b"\x16\x03\x01 hello\r\n\r\n")
        answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert code(answer) == "malformed_request"


async def test_a_body_that_is_not_http_is_refused_at_once(running: Listening, app: App) -> None:
    async with running.client() as client, asyncio.timeout(3):
        client.send(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
        await eventually(lambda: app.paths)
        client.send(b"not a size\r\n")
        assert code(await client.rest()) == "malformed_request"
    await eventually(lambda: app.left == 1)


async def test_a_request_before_the_answer_to_the_last_one_is_not_taken(running: Listening, app: App) -> None:
    request = b"GET /%d HTTP/1.1\r\nhost: test\r\n\r\n"
    async with running.client() as client, asyncio.timeout(3):
        client.send(b"".join(request % number for number in range(3)))
        assert await client.answer() == (200, b"0")
        assert await client.rest() == b""
    assert app.paths == ["/0"]


@pytest.mark.parametrize("limits", [{"connections": 2}, {"connections_of_one": 2}], ids=["in all", "of one address"])
async def test_more_connections_than_allowed_are_refused(app: App, limits: dict[str, int]) -> None:
    async with listening(app, ConnectionLimits(**limits)) as running:
        async with running.client() as one, running.client() as two:
            for client in (one, two):
                client.ask()
                assert await client.answer() == (200, b"0")
            async with running.client() as three:
                answer = await three.rest()
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert code(answer) == "too_many_connections"
            assert b"retry-after: " in answer
            one.ask()
            assert await one.answer() == (200, b"0")
        await eventually(lambda: running.connections == 0)
        async with running.client() as four:
            four.ask()
            assert await four.answer() == (200, b"0")


REFUSED = {
    "head_too_slow": b"GET / HTTP/1.1\r\n",
    "head_too_large": b"GET / HTTP/1.1\r\nx-long: " + b"y" * 3000,
    "malformed_request": b"no request\r\n\r\n",
}


@pytest.mark.parametrize("code", REFUSED)
async def test_a_refusal_without_a_request_is_told_by_its_code(app: App, code: str) -> None:
    told: list[str] = []
    async with listening(app, LIMITS, told.append) as running:
        async with running.client() as client, asyncio.timeout(3):
            client.send(REFUSED[code])
            assert code.encode() in await client.rest()
        async with running.client() as client:
            client.ask()
            assert await client.answer() == (200, b"0")
    assert told == [code]


async def test_connections_beyond_the_bound_are_told_and_silent_ones_are_not(app: App) -> None:
    told: list[str] = []
    limits = ConnectionLimits(connections=1, head_seconds=0.5)
    async with listening(app, limits, told.append) as running, running.client() as silent, asyncio.timeout(5):
        await eventually(lambda: running.connections == 1)
        for _ in range(3):
            async with running.client() as other:
                assert b"too_many_connections" in await other.rest()
        assert await silent.rest() == b""
    assert told == ["too_many_connections"] * 3


async def test_a_body_in_the_smallest_chunks_is_read(running: Listening) -> None:
    async with running.client() as client:
        client.send(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(10):
            client.send(b"1\r\nx\r\n" * 1000)
            await asyncio.sleep(0)
        client.send(b"0\r\n\r\n")
        assert await client.answer() == (200, b"10000")


@pytest.mark.parametrize(
    ("before", "endless"),
    [(b"1\r\nx\r\n0\r\n", b"x-trailer: y\r\n"), (b"1\r\nx\r\n0\r\nx-trailer: ", b"y" * 50), (b"1;", b"extension" * 5)],
    ids=["trailers", "a trailer without an end", "chunk extensions"],
)
async def test_what_surrounds_a_body_is_bounded(running: Listening, app: App, before: bytes, endless: bytes) -> None:
    async with running.client() as client, asyncio.timeout(5):
        client.send(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + before)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while not client.reader.at_eof() and sent < 1_000_000:
                client.send(endless * 20)
                sent += len(endless) * 20
                await client.writer.drain()
                await asyncio.sleep(0.01)
        assert await client.rest() == b""
    assert sent < 100_000
    await eventually(lambda: app.left == 1)


async def test_a_body_that_nobody_reads_does_not_end_the_connection(running: Listening) -> None:
    async with running.client() as client:
        client.send(b"POST /early HTTP/1.1\r\ncontent-length: 200000\r\n\r\n")
        assert await client.answer() == (200, b"{}")
        client.send(b"b" * 200_000)
        client.ask("POST", body=b"next")
        assert await client.answer() == (200, b"4")


async def test_a_slow_head_behind_a_body_that_nobody_reads_is_cut(running: Listening) -> None:
    async with running.client() as client, asyncio.timeout(3):
        client.send(b"POST /early HTTP/1.1\r\ncontent-length: 4\r\n\r\n")
        assert await client.answer() == (200, b"{}")
        client.send(b"bodyGET / HTTP/1.1\r\n")
        assert code(await client.rest()) == "head_too_slow"


async def test_a_client_that_does_not_read_is_given_up_and_takes_no_memory(running: Listening, app: App) -> None:
    stuck = small_window(running.port)
    with contextlib.closing(stuck):
        stuck.sendall(b"GET /endless HTTP/1.1\r\n\r\n")
        await eventually(lambda: app.sent > 0)
        await eventually(lambda: app.left == 1, 5)
        await eventually(lambda: running.connections == 0)
    assert app.sent < 250_000


@pytest.mark.parametrize("fields", ["", "connection: close\r\n"], ids=["kept", "closed"])
async def test_an_answer_that_nobody_reads_does_not_stay(running: Listening, fields: str) -> None:
    stuck = small_window(running.port)
    with contextlib.closing(stuck):
        stuck.sendall(f"GET /large HTTP/1.1\r\n{fields}\r\n".encode())
        await eventually(lambda: running.connections == 1)
        await eventually(lambda: running.connections == 0, 5)


async def test_a_slow_but_steady_reader_gets_all_of_its_answer(running: Listening) -> None:
    slow = small_window(running.port)
    slow.setblocking(False)
    loop, received = asyncio.get_running_loop(), 0
    with contextlib.closing(slow):
        await loop.sock_sendall(slow, b"GET /large HTTP/1.1\r\nconnection: close\r\n\r\n")
        while data := await loop.sock_recv(slow, 8192):
            received += len(data)
            await asyncio.sleep(0.04)
    assert received > LARGE


MISCHIEF = (
    b"",
    b"GET / HT",
    b"\x00\xff garbage\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: test\r\n\r\n",
    b"GET /endless HTTP/1.1\r\n\r\n",
    b"GET /endless HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"GET /large HTTP/1.1\r\nconnection: close\r\n\r\n",
    b"POST / HTTP/1.1\r\ncontent-length: 1000\r\n\r\nhalf",
    b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n",
    b"POST /early HTTP/1.1\r\ncontent-length: 1000000\r\n\r\n" + b"b" * 50_000,
    b"GET / HTTP/1.1\r\nx-long: " + b"y" * 10_000,
)


async def mischief(running: Listening, seed: int) -> None:
    """A client that says something, reads some of what comes or nothing, and leaves or waits."""
    chance = random.Random(seed)
    async with running.client() as client:
        client.send(chance.choice(MISCHIEF))
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(chance.uniform(0, 1.5)):
                await (client.rest() if chance.random() < 0.5 else asyncio.Event().wait())


async def test_whatever_clients_do_nothing_of_it_stays(running: Listening) -> None:
    await asyncio.gather(*(mischief(running, seed) for seed in range(400)))
    state = running.listener.server_state
    await eventually(lambda: not state.connections and not state.tasks)
    config = running.listener.config
    assert isinstance(config, ListenerConfig)
    assert not config.addresses
    async with running.client() as client:
        client.ask()
        assert await client.answer() == (200, b"0")
