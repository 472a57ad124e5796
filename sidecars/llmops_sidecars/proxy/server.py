"""Serving applications with uvicorn: several listeners in one loop, ended by a drain instead of by a cut."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from llmops_sidecars.proxy.asgi import ASGIApp
from llmops_sidecars.proxy.downstream import SERVER_IDLE_SECONDS
from llmops_sidecars.proxy.tls import STATE_KEY, peer_of

EXIT_SECONDS = 2
"""How long connections may take to end once nothing is in flight."""

MOST_CONNECTIONS = 4096


class Connection(HttpToolsProtocol):
    """One connection of a client."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember what certificate it has shown: its requests find it in their state."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, STATE_KEY: peer_of(transport)}


class Listener(uvicorn.Server):
    """One application on one port or Unix socket; signals are the process's business, not its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def listener(
    app: ASGIApp,
    *,
    host: str = "0.0.0.0",  # noqa: S104 - a pod is reached from outside
    port: int = 0,
    socket: Path | None = None,
    tls: ssl.SSLContext | None = None,
) -> Listener:
    """A listener on a port, or on a Unix socket, which replaces one that an ended process left behind.

    With a `tls` context it speaks TLS and nothing else; what certificate a client has shown stands in its requests.
    """
    if socket is not None:
        socket.unlink(missing_ok=True)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        uds=None if socket is None else str(socket),
        http=Connection,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        loop="uvloop",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=SERVER_IDLE_SECONDS,
        timeout_graceful_shutdown=EXIT_SECONDS,
    )
    return Listener(config)


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a process's coroutine on uvloop."""
    import uvloop

    async def entry() -> None:
        await main()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(entry())


async def serve(
    listeners: list[Listener], background: Awaitable[Any], leave: Callable[[], Awaitable[object]] | None = None
) -> None:
    """Serve until TERM or INT; `leave` is awaited first, while all is still served, unless a second signal comes.

    Raises what `background` raises: without it the process is of no use.
    """
    asked, cut = asyncio.Event(), asyncio.Event()

    def signalled() -> None:
        (cut if asked.is_set() else asked).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signalled)
    serving = [asyncio.ensure_future(one.serve()) for one in listeners]
    beside = asyncio.ensure_future(background)
    _settle_memory()
    try:
        await _first(asyncio.ensure_future(asked.wait()), beside, *serving)
        if leave is not None and asked.is_set():
            await _first(asyncio.ensure_future(leave()), asyncio.ensure_future(cut.wait()), beside)
    finally:
        for one in listeners:
            one.should_exit = True
        beside.cancel()
        await asyncio.gather(*serving, beside, return_exceptions=True)


async def _first(*tasks: asyncio.Future[Any]) -> None:
    """Wait for the first to end; raises its error."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


def _settle_memory() -> None:
    """What was made at the start stays: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
