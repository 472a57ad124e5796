"""Both ways to the next component behave alike; each test runs over a Unix socket, over TCP and in one process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llmops_sidecars.proxy.asgi import (
    ClientDisconnectedError,
    Receive,
    Scope,
    Send,
    StreamSender,
    read_body,
    send_json,
    until_disconnect,
)
from llmops_sidecars.proxy.downstream import (
    Downstream,
    DownstreamCutError,
    DownstreamUnavailableError,
    HttpDownstream,
    read_response,
)
from llmops_sidecars.proxy.inprocess import AppDownstream
from tests.support.asgi import eventually, serving

MIB = 1024 * 1024


class NextComponent:
    """An application that does by path what a component may do to its caller."""

    def __init__(self) -> None:
        self.left: list[str] = []
        self.written = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await getattr(self, scope["path"].strip("/"))(scope, receive, send)

    async def echo(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, MIB)
        said = f"{scope['method']} {dict(scope['headers'])[b'x-request-id'].decode()} ".encode()
        await send_json(send, 201, said + body, ((b"X-Mixed-Case", b"yes"),))

    async def redirect(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send_json(send, 302, b"", ((b"location", b"/echo"),))

    async def endless(self, scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(scope, receive, MIB)
        try:
            await until_disconnect(receive, self._write_on(StreamSender(send)))
        except ClientDisconnectedError:
            self.left.append("endless")

    async def silent(self, scope: Scope, receive: Receive, _send: Send) -> None:
        await read_body(scope, receive, MIB)
        try:
            await until_disconnect(receive, asyncio.Event().wait())
        except ClientDisconnectedError:
            self.left.append("silent")

    async def cut(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        sender = StreamSender(send)
        await sender.start(200, ())
        await sender.write(b"half")

    async def crash(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await StreamSender(send).start(200, ())
        raise ValueError("a bug")

    async def nothing(self, _scope: Scope, _receive: Receive, _send: Send) -> None:
        return

    async def _write_on(self, sender: StreamSender) -> None:
        await sender.start(200, ())
        while True:
            await sender.write(b"x" * 1000)
            self.written += 1000
            await asyncio.sleep(0)


@pytest.fixture
def component() -> NextComponent:
    return NextComponent()


@pytest.fixture(params=["socket", "tcp", "in process"])
async def downstream(
    request: pytest.FixtureRequest, component: NextComponent, tmp_path: Path
) -> AsyncIterator[Downstream]:
    async with contextlib.AsyncExitStack() as stack:
        way: Downstream
        if request.param == "socket":
            way = HttpDownstream(socket=str(tmp_path / "s"))
            await stack.enter_async_context(serving(component, socket=tmp_path / "s"))
        elif request.param == "tcp":
            way = HttpDownstream(url=await stack.enter_async_context(serving(component)), keep_connections=False)
        else:
            way = AppDownstream(component)
        yield way
        await way.close()


async def test_a_request_and_its_answer(downstream: Downstream) -> None:
    for number in (b"1", b"2"):
        async with downstream.request("POST", "/echo", ((b"x-request-id", number),), b"hello") as response:
            assert response.status == 201
            assert response.headers["x-mixed-case"] == "yes"
            assert await read_response(response, 100) == b"POST " + number + b" hello"


async def test_requests_run_side_by_side(downstream: Downstream) -> None:
    async with asyncio.timeout(5), contextlib.AsyncExitStack() as stack:
        for _ in range(150):
            response = await stack.enter_async_context(downstream.request("POST", "/endless"))
            assert response.status == 200


async def test_a_redirect_is_not_followed(downstream: Downstream) -> None:
    async with downstream.request("GET", "/redirect") as response:
        assert response.status == 302


async def test_leaving_a_stream_cancels_it(downstream: Downstream, component: NextComponent) -> None:
    async with downstream.request("POST", "/endless", body=b"x") as response:
        async for _ in response.stream():
            break
    await eventually(lambda: component.left == ["endless"])


async def test_a_cancelled_caller_cancels_a_request_without_an_answer(
    downstream: Downstream, component: NextComponent
) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), downstream.request("POST", "/silent", body=b"x"):
            pass
    await eventually(lambda: component.left == ["silent"])


async def test_a_caller_that_does_not_read_holds_the_writer_back(
    downstream: Downstream, component: NextComponent
) -> None:
    async with downstream.request("POST", "/endless", body=b"x"):
        written = -1
        while written != component.written:
            written = component.written
            await asyncio.sleep(0.05)
    assert component.written < 32 * MIB


@pytest.mark.parametrize("path", ["/cut", "/crash"])
async def test_a_cut_answer_is_an_error(downstream: Downstream, path: str) -> None:
    async with downstream.request("GET", path) as response:
        with pytest.raises(DownstreamCutError):
            await read_response(response, MIB)


async def test_an_answer_larger_than_wanted_is_an_error(downstream: Downstream) -> None:
    async with downstream.request("POST", "/endless") as response:
        with pytest.raises(DownstreamCutError, match="larger than 5000"):
            await read_response(response, 5000)


async def test_no_answer_in_this_process_is_unavailability(component: NextComponent) -> None:
    with pytest.raises(DownstreamUnavailableError) as caught:
        async with AppDownstream(component).request("GET", "/nothing"):
            pass
    assert not caught.value.refused


@pytest.mark.parametrize("way", ["socket", "tcp"])
async def test_nobody_listening_is_unavailability(way: str, tmp_path: Path) -> None:
    async with serving(NextComponent()) as url:
        pass
    downstream = HttpDownstream(socket=str(tmp_path / "none")) if way == "socket" else HttpDownstream(url=url)
    with pytest.raises(DownstreamUnavailableError, match="nobody listens") as caught:
        async with downstream.request("GET", "/echo"):
            pass
    assert caught.value.refused
    await downstream.close()


async def test_a_connection_that_ends_without_an_answer_is_unavailability() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    downstream = HttpDownstream(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        with pytest.raises(DownstreamUnavailableError) as caught:
            async with downstream.request("POST", "/echo", body=b"x"):
                pass
    assert not caught.value.refused
    await downstream.close()


async def test_after_close_the_next_request_connects_anew(component: NextComponent, tmp_path: Path) -> None:
    downstream = HttpDownstream(socket=str(tmp_path / "s"))
    async with serving(component, socket=tmp_path / "s"):
        for _ in range(2):
            async with downstream.request("GET", "/redirect") as response:
                assert response.status == 302
            await downstream.close()
