"""Both ways to the next component behave alike; each test runs over a Unix socket, over TCP and in one process."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop

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
from llmops_sidecars.proxy.client import HttpDownstream, SocketDownstream
from llmops_sidecars.proxy.downstream import (
    Downstream,
    DownstreamCutError,
    DownstreamUnavailableError,
    read_response,
)
from llmops_sidecars.proxy.inprocess import AppDownstream
from llmops_sidecars.proxy.server import listener
from tests.support.asgi import eventually, serving
from tests.support.issuer import Authority

MIB = 1024 * 1024
AUTHORITY = Authority()


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
            way = SocketDownstream(str(tmp_path / "s"))
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
    async with asyncio.timeout(60), contextlib.AsyncExitStack() as stack:
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
    downstream: Downstream
    downstream = SocketDownstream(str(tmp_path / "none")) if way == "socket" else HttpDownstream(url=url)
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
    downstream = SocketDownstream(str(tmp_path / "s"))
    async with serving(component, socket=tmp_path / "s"):
        for _ in range(2):
            async with downstream.request("GET", "/redirect") as response:
                assert response.status == 302
            await downstream.close()


class Scripted:
    """A server on a Unix socket that answers each connection with bytes of the test's; it counts connections."""

    def __init__(self, *answers: bytes) -> None:
        self.answers, self.connections, self.open = answers, 0, 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections, self.open = self.connections + 1, self.open + 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            for answer in self.answers:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                await writer.drain()
        writer.close()
        self.open -= 1


@contextlib.asynccontextmanager
async def scripted(path: Path, *answers: bytes) -> AsyncIterator[tuple[Scripted, SocketDownstream]]:
    server = Scripted(*answers)
    downstream = SocketDownstream(str(path))
    async with await asyncio.start_unix_server(server, path):
        yield server, downstream
        await downstream.close()
        await eventually(lambda: server.open == 0)


FINE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def asked(downstream: Downstream) -> bytes:
    async with downstream.request("GET", "/x") as response:
        return await read_response(response, MIB)


async def test_a_connection_is_kept_for_the_next_request(tmp_path: Path) -> None:
    async with scripted(tmp_path / "s", FINE, FINE, FINE) as (server, downstream):
        assert [await asked(downstream) for _ in range(3)] == [b"ok"] * 3
        assert server.connections == 1


async def test_a_kept_connection_that_ended_meanwhile_is_replaced(tmp_path: Path) -> None:
    async with scripted(tmp_path / "s", FINE) as (server, downstream):
        assert [await asked(downstream) for _ in range(3)] == [b"ok"] * 3
        assert server.connections == 3


async def test_a_connection_is_not_kept_when_the_server_says_so(tmp_path: Path) -> None:
    last = FINE.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    async with scripted(tmp_path / "s", last, last) as (server, downstream):
        assert [await asked(downstream) for _ in range(2)] == [b"ok"] * 2
        assert server.connections == 2


async def test_a_connection_whose_answer_was_not_read_is_not_kept(tmp_path: Path) -> None:
    async with scripted(tmp_path / "s", FINE, FINE) as (server, downstream):
        async with downstream.request("GET", "/x"):
            pass
        assert await asked(downstream) == b"ok"
        assert server.connections == 2


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\ncontent-le"], ids=["end", "other", "half"]
)
async def test_what_is_no_answer_is_unavailability(tmp_path: Path, answer: bytes) -> None:
    async with scripted(tmp_path / "s", answer) as (_, downstream):
        with pytest.raises(DownstreamUnavailableError):
            await asked(downstream)


@pytest.mark.parametrize("size", [1, 2, 7])
async def test_an_answer_may_come_in_pieces_of_any_size(tmp_path: Path, size: int) -> None:
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for place in range(0, len(answer), size):
            writer.write(answer[place : place + size])
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    downstream = SocketDownstream(str(tmp_path / "s"))
    async with await asyncio.start_unix_server(slowly, tmp_path / "s"):
        assert await asked(downstream) == b"abcde"
        await downstream.close()


async def test_a_read_that_was_cancelled_loses_nothing(downstream: Downstream) -> None:
    async with downstream.request("POST", "/echo", ((b"x-request-id", b"1"),), b"hello") as response:
        for _ in range(3):
            reading = asyncio.ensure_future(response.read())
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        assert await read_response(response, 100) == b"POST 1 hello"


async def test_an_announcement_is_no_answer(tmp_path: Path) -> None:
    announced = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + FINE
    async with scripted(tmp_path / "s", announced) as (_, downstream), downstream.request("GET", "/x") as response:
        assert (response.status, response.headers) == (200, {"content-length": "2"})
        assert await read_response(response, 100) == b"ok"


async def test_a_head_without_end_is_no_answer(tmp_path: Path) -> None:
    fields = b"".join(b"x-%d: %b\r\n" % (number, b"y" * 1000) for number in range(100))
    async with scripted(tmp_path / "s", b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n") as (_, downstream):
        with pytest.raises(DownstreamUnavailableError):
            await asked(downstream)


@contextlib.asynccontextmanager
async def behind_tls(folder: Path) -> AsyncIterator[str]:
    """A server with a certificate of `AUTHORITY`; gives its URL."""
    certificate, key = AUTHORITY.issue()
    (folder / "chain.pem").write_bytes(certificate + key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "chain.pem")
    served = listener(NextComponent(), host="127.0.0.1", tls=context)
    task = asyncio.create_task(served.serve())
    await eventually(lambda: served.started)
    yield f"https://localhost:{served.servers[0].sockets[0].getsockname()[1]}/echo"
    served.should_exit = True
    await task


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.pem.decode())


async def test_a_server_is_asked_over_tls(tmp_path: Path) -> None:
    async with behind_tls(tmp_path) as url:
        downstream = HttpDownstream(url, tls=trusting(AUTHORITY))
        async with downstream.request("POST", "", ((b"x-request-id", b"1"),), b"hello") as response:
            assert await read_response(response, 100) == b"POST 1 hello"
        await downstream.close()


async def test_a_server_that_is_not_trusted_is_not_asked(tmp_path: Path) -> None:
    async with behind_tls(tmp_path) as url:
        downstream = HttpDownstream(url, tls=trusting(Authority("another")))
        with pytest.raises(DownstreamUnavailableError, match="its certificate is not trusted") as caught:
            await asked(downstream)
        assert caught.value.refused


def test_all_of_it_works_on_the_loop_of_pods(tmp_path: Path) -> None:
    async def run() -> bytes:
        async with serving(NextComponent()) as url:
            downstream = HttpDownstream(url)
            async with downstream.request("POST", "/echo", ((b"x-request-id", b"1"),), b"hello") as response:
                body = await read_response(response, 100)
            await downstream.close()
        async with scripted(tmp_path / "s", FINE) as (_, local):
            return body + await asked(local)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(run()) == b"POST 1 hellook"
