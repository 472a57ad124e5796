"""Serving applications with uvicorn: several listeners in one loop, ended by a drain instead of by a cut."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn

from llmops_sidecars.proxy.asgi import ASGIApp
from llmops_sidecars.proxy.connection import Connection, ConnectionLimits, ListenerConfig
from llmops_sidecars.proxy.downstream import SERVER_IDLE_SECONDS
from llmops_sidecars.proxy.processors import new_executor

EXIT_SECONDS = 2
"""How long connections may take to end once nothing is in flight."""

CHECK_TICKS = 5
"""A tenth of a second each: how often connections are looked at."""


class Listener(uvicorn.Server):
    """One application on one port or Unix socket; signals are the process's business, not its own."""

    def __init__(self, config: ListenerConfig) -> None:
        """Not started yet."""
        super().__init__(config)
        self._listening, self._limits = config, config.limits

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; connections take after their listening socket how much the kernel may hold for them."""
        if self._listening.is_ssl:
            await self._start_tls()
        else:
            await super().startup(sockets)
        for one in (listening for server in self.servers for listening in server.sockets):
            if one.family != socket.AF_UNIX:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, self._limits.unsent_bytes)

    async def _start_tls(self) -> None:
        """Listen as uvicorn does, but for the bounds on handshakes: asyncio gives a silent client a minute."""
        config, seconds = self._listening, self._limits.head_seconds
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(config, self.server_state, {}),
            config.host,
            config.port,
            ssl=config.ssl,
            backlog=config.backlog,
            ssl_handshake_timeout=seconds,
            ssl_shutdown_timeout=seconds,
        )
        self.servers, self.started = [server], True

    async def on_tick(self, counter: int) -> bool:
        """Look at the connections now and then."""
        if counter % CHECK_TICKS == 0:
            now = asyncio.get_running_loop().time()
            for one in list(self.server_state.connections):
                if isinstance(one, Connection):
                    one.check(now)
        return await super().on_tick(counter)

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
    limits: ConnectionLimits | None = None,
    tls: ssl.SSLContext | None = None,
    refused: Callable[[str], object] = str,
) -> Listener:
    """A listener on a port, or on a Unix socket, which replaces one that an ended process left behind.

    With a `tls` context it speaks TLS and nothing else; what certificate a client has shown stands in its requests.
    `refused` is told the code of each error with which a connection, and no application, answers; nobody unless given.
    """
    if socket is not None:
        socket.unlink(missing_ok=True)
    config = ListenerConfig(
        app,
        limits or ConnectionLimits(),
        refused,
        host=host,
        port=port,
        uds=None if socket is None else str(socket),
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        loop="uvloop",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=SERVER_IDLE_SECONDS,
        timeout_graceful_shutdown=EXIT_SECONDS,
    )
    return Listener(config)


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a process's coroutine on uvloop, with as many open files as it may have and as many threads as are of use."""
    import uvloop

    async def entry() -> None:
        asyncio.get_running_loop().set_default_executor(new_executor())
        await main()

    _allow_files()

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


def _allow_files() -> None:
    """Connections are files, and where a process begins with few of them, that is for programs that use select()."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _settle_memory() -> None:
    """What was made at the start stays: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
    gc.collect()  # it counts what there is to look at now: a full pass comes only when a quarter of that is new
