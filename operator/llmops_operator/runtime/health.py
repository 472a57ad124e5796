"""The operator's one port: health, readiness, metrics."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

UNWELL = 503

Check = Callable[[], str | None]
"""Why something is not well, None when it is."""


@asynccontextmanager
async def served(port: int, healthy: Check, ready: Check, exposition: Callable[[], bytes]) -> AsyncIterator[int]:
    """Serve until the block ends; gives the port, which is another than asked for when that was 0."""

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=exposition(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    app = web.Application()
    app.router.add_get("/healthz", _answer(healthy))
    app.router.add_get("/readyz", _answer(ready))
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    listening = _listen(port)
    await web.SockSite(runner, listening).start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        await runner.cleanup()


def _listen(port: int) -> socket.socket:
    """One socket for IPv4 and IPv6, whichever the machine has."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _answer(check: Check) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(_request: web.Request) -> web.StreamResponse:
        reason = check()
        return web.Response(text=f"{reason or 'ok'}\n", status=UNWELL if reason else 200)

    return handler
