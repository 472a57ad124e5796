from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import web

from llmops_operator.cluster.guards import Guards
from llmops_operator.world import Container, Pod, Report, Unreachable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
DIGEST = {"digest": "d", "error": None, "revisions": ["r"], "cache": {"digest": "c", "error": "refused"}}


PATIENT, IMPATIENT = 30.0, 0.2
"""Seconds to wait for an answer that comes, on the busiest machine, and for one that does not."""

RUNNING = Container("guard", running=True)


def pod(name: str, ip: str = "127.0.0.1", *containers: Container, ready: bool = True, terminating: bool = False) -> Pod:
    return Pod(name, "uid", ip, ready, terminating, datetime(2026, 1, 1, tzinfo=UTC), containers=containers)


@asynccontextmanager
async def guard(handler: Handler) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get("/config", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def asking(port: int, seconds: float = PATIENT) -> AsyncIterator[Guards]:
    guards = Guards(port, seconds)
    try:
        yield guards
    finally:
        await guards.close()


async def test_every_pod_whose_guard_runs_is_asked() -> None:
    async def config(_: web.Request) -> web.Response:
        return web.json_response(DIGEST)

    starting = pod("b", "127.0.0.1", RUNNING, Container("triton"), ready=False)
    others = [pod("c", ready=False), pod("d", "127.0.0.1", RUNNING, terminating=True), pod("e", "", RUNNING)]
    pods = [pod("a"), starting, *others]
    async with guard(config) as port, asking(port) as guards:
        found = await guards.ask(pods)
    assert found == dict.fromkeys(("a", "b"), Report("d", None, "c", "refused"))


async def _hang(_: web.Request) -> web.Response:
    await asyncio.sleep(60)
    return web.Response()


async def _away(_: web.Request) -> web.Response:
    raise web.HTTPFound("http://127.0.0.1:1/elsewhere")


def _says(content: str, status: int = 200) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=content, status=status)

    return answer


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (_hang, "no answer in time"),
        (_away, "it answers with status 302"),
        (_says("no", 503), "it answers with status 503"),
        (_says("not JSON"), "its answer is not understood"),
        (_says("[1]"), "its answer is not understood"),
        (_says('{"cache": 7}'), "its answer is not understood"),
        (_says('{"digest": "' + "x" * 100_000 + '"}'), "its answer is not understood"),
    ],
    ids=["hangs", "redirects", "503", "no JSON", "no object", "wrong shape", "too long"],
)
async def test_nothing_that_a_pod_answers_breaks_a_pass(handler: Handler, reason: str) -> None:
    async with guard(handler) as port, asking(port, IMPATIENT if handler is _hang else PATIENT) as guards:
        assert await guards.ask([pod("a")]) == {"a": Unreachable(reason)}


async def test_hanging_pods_are_waited_for_together() -> None:
    async with guard(_hang) as port, asking(port, IMPATIENT) as guards, asyncio.timeout(20 * IMPATIENT):
        assert len(await guards.ask([pod(str(number)) for number in range(20)])) == 20


async def test_a_pod_that_does_not_listen() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with asking(unused.getsockname()[1]) as guards:
            found = await guards.ask([pod("a"), pod("b", ip="::1")])
    assert set(found.values()) == {Unreachable("no connection (ClientConnectorError)")}
