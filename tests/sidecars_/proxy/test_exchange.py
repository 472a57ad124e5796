"""Answers over the listener's own connections: their heads, their framing, and whoever leaves before their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from llmops_sidecars.proxy.asgi import (
    ClientDisconnectedError,
    Headers,
    Receive,
    Scope,
    Send,
    StreamSender,
    read_body,
    until_disconnect,
)
from tests.support.asgi import eventually
from tests.support.listening import Client, Listening, listening

MIB = 1024 * 1024


class App:
    """Answers as it is told; `/wait` waits for ever, `/body` says how long a body is, and whether more comes."""

    def __init__(self) -> None:
        self.status, self.headers = 200, list[tuple[bytes, bytes]]()
        self.pieces = [b"one", b"two"]
        self.left = self.failed = self.tasks = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender = StreamSender(send)
        body = await read_body(scope, receive, MIB)
        if scope["path"] == "/wait":
            await self._wait(receive)
        elif scope["path"] == "/body":
            await sender.whole(200, str(len(body)).encode(), self.headers)
        else:
            await self._tell(sender)

    async def _wait(self, receive: Receive) -> None:
        self.tasks = len(asyncio.all_tasks())
        try:
            await until_disconnect(receive, self._for_ever())
        except ClientDisconnectedError:
            self.left += 1

    async def _for_ever(self) -> None:
        await asyncio.sleep(0)
        self.tasks = len(asyncio.all_tasks()) - self.tasks
        await asyncio.Event().wait()

    async def _tell(self, sender: StreamSender) -> None:
        try:
            await sender.start(self.status, self.headers)
            for piece in self.pieces:
                await sender.write(piece)
            await sender.end()
        except RuntimeError:
            self.failed += 1
            raise


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
async def running(app: App) -> AsyncIterator[Listening]:
    async with listening(app) as started:
        yield started


async def told(client: Client) -> list[bytes]:
    """The lines of an answer's head, after its status."""
    head = await client.reader.readuntil(b"\r\n\r\n")
    return head.split(b"\r\n")[1:-2]


async def test_an_answer_of_unknown_length_comes_in_chunks(running: Listening) -> None:
    async with running.client() as client:
        client.ask()
        assert b"transfer-encoding: chunked" in await told(client)
        assert await client.reader.readuntil(b"0\r\n\r\n") == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        client.ask()
        assert b"transfer-encoding: chunked" in await told(client)


async def test_an_answer_of_known_length_comes_as_it_is(running: Listening, app: App) -> None:
    app.headers = [(b"content-length", b"6")]
    async with running.client() as client:
        client.ask()
        assert await client.answer() == (200, b"onetwo")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_some_answers_have_no_body(running: Listening, app: App, method: str, status: int) -> None:
    app.status, app.pieces = status, [b"one"] if method == "HEAD" else []
    async with running.client() as client:
        client.ask(method)
        assert not any(line.startswith((b"transfer-encoding", b"content-length")) for line in await told(client))
        client.ask("GET", "/body", b"12345")
        assert await client.answer() == (200, b"5")


@pytest.mark.parametrize(
    ("headers", "fields"),
    [([(b"connection", b"close")], []), ([], ["connection: close"])],
    ids=["by the application", "by the client"],
)
async def test_a_connection_ends_after_its_answer_when_one_of_both_says_so(
    running: Listening, app: App, headers: Headers, fields: list[str]
) -> None:
    app.headers = list(headers)
    async with running.client() as client:
        client.ask("GET", "/", b"", *fields)
        assert (await told(client)).count(b"connection: close") == 1
        assert await client.rest() == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "value", [b"a\r\nset-cookie: b", b"a\nb", b"a\x00", b"\x7f"], ids=["line break", "line feed", "zero", "delete"]
)
async def test_a_header_cannot_end_itself(running: Listening, app: App, value: bytes) -> None:
    app.headers = [(b"x-name", value)]
    async with running.client() as client:
        client.ask()
        answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in answer
    assert app.failed == 1


@pytest.mark.parametrize(
    ("status", "headers", "comes"),
    [
        (200, [(b"content-length", b"3")], b"one"),
        (200, [(b"content-length", b"9")], b"onetwo"),
        (204, [], b""),
    ],
    ids=["too long", "too short", "none expected"],
)
async def test_an_answer_of_another_length_is_cut(
    running: Listening, app: App, status: int, headers: Headers, comes: bytes
) -> None:
    app.status, app.headers = status, list(headers)
    async with running.client() as client:
        client.ask()
        await told(client)
        assert await client.rest() == comes
    assert app.failed == 1


@pytest.mark.parametrize("first", ["http.response.body", "http.response.start"])
async def test_what_comes_out_of_order_is_an_error(first: str) -> None:
    refused: list[str] = []

    async def confused(_scope: Scope, _receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": []}
        for message in [start, start] if first == "http.response.start" else [{"type": first, "body": b"x"}]:
            try:
                await send(message)
            except RuntimeError:
                refused.append(str(message["type"]))
                raise

    async with listening(confused) as started, started.client() as client:
        client.ask()
        answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 200 " if first == "http.response.start" else b"HTTP/1.1 500 ")
    assert refused == [first]


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"content-length: 300000\r\n\r\n", b"x" * 300_000),
        (b"transfer-encoding: chunked\r\n\r\n", b"3\r\nabc\r\n" * 5 + b"0\r\n\r\n"),
        (b"content-length: 3\r\nexpect: 100-continue\r\n\r\n", b"abc"),
    ],
    ids=["large", "chunked", "with a question before"],
)
@pytest.mark.parametrize("apart", [False, True], ids=["at once", "after its head"])
async def test_a_body_is_read_whenever_it_comes(running: Listening, head: bytes, body: bytes, *, apart: bool) -> None:
    start = b"POST /body HTTP/1.1\r\nhost: test\r\n" + head
    async with running.client() as client:
        for data in (start, body) if apart else (start + body,):
            client.send(data)
            await client.writer.drain()
            if apart and b"expect" in data:
                assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        status, said = 0, b""
        while status != 200:
            status, said = await answered(client)
    assert int(said) == {b"x": 300_000, b"3": 15, b"a": 3}[body[:1]]


async def answered(client: Client) -> tuple[int, bytes]:
    """An answer's status and body; of one that only announces another, no body."""
    head = await client.reader.readuntil(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 100"):
        return 100, b""
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return int(head.split()[1]), await client.reader.readexactly(length)


LEAVING: dict[str, Callable[[Client], Any]] = {
    "closes": lambda client: client.writer.close(),
    "resets": lambda client: client.writer.transport.abort(),
}


@pytest.mark.parametrize("way", LEAVING)
async def test_work_ends_when_its_client_leaves_and_no_task_has_waited_for_that(
    running: Listening, app: App, way: str
) -> None:
    async with running.client() as client:
        client.ask("POST", "/wait", b"x" * 100_000)
        await eventually(lambda: app.tasks == 0 and running.connections == 1)
        LEAVING[way](client)
        await eventually(lambda: app.left == 1)
