from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmops_sidecars.contract import TenantLimits
from llmops_sidecars.guard.access.caller import known
from llmops_sidecars.guard.readiness import Readiness
from llmops_sidecars.openai.errors import engine_unavailable
from llmops_sidecars.proxy.asgi import Receive, Scope, Send, read_body, send_error, send_json
from llmops_sidecars.proxy.drain import Drain, Phase
from llmops_sidecars.proxy.inprocess import AppDownstream
from tests.sidecars_.guard.kit import WRITER, FakeCache, Guard, contract, guarded, question, said
from tests.support.asgi import Sent, call, eventually, receiving

LOOPBACK = ("127.0.0.1", 1)


async def test_it_is_alive_from_the_start(tmp_path: Path) -> None:
    assert (await Guard(tmp_path, AppDownstream(FakeCache())).admin("/healthz")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("POST", "/healthz", 405), ("GET", "/drain", 405), ("GET", "/v1/models", 404)],
)
async def test_nothing_else_is_served(tmp_path: Path, method: str, path: str, status: int) -> None:
    assert (await guarded(tmp_path, FakeCache()).admin(path, method)).status == status


async def test_without_a_contract_it_is_not_ready_and_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guard = Guard(tmp_path, AppDownstream(FakeCache()))
    assert "no contract has been read yet" in (await guard.admin("/readyz")).error["message"]
    with caplog.at_level(logging.CRITICAL):
        guard.use(b"{}")
    assert "model" in (await guard.admin("/readyz")).error["message"]
    for answer in (await guard.ask(), await call(guard.app, "GET", "/v1/models")):
        assert (answer.status, answer.error["code"]) == (503, "not_ready")
    state = (await guard.admin("/config")).json
    assert (state["digest"], state["revisions"]) == (None, [])
    assert "model" in state["error"]


async def test_it_is_ready_once_the_engine_has_answered(tmp_path: Path) -> None:
    guard = guarded(tmp_path, FakeCache(said("x")))
    answer = await guard.admin("/readyz")
    assert (answer.status, answer.error["code"]) == (503, "not_ready")
    await guard.ask()
    assert (await guard.admin("/readyz")).status == 200


async def test_a_remembered_answer_says_nothing_of_the_engine(tmp_path: Path) -> None:
    guard = guarded(tmp_path, FakeCache(said("x"), headers=[(b"x-llmops-cache", b"hit")]))
    await guard.ask()
    assert (await guard.admin("/readyz")).status == 503


async def test_it_becomes_ready_by_asking_the_engine(tmp_path: Path) -> None:
    guard = guarded(tmp_path, FakeCache())
    running = asyncio.create_task(guard.app.run())

    async def ready() -> bool:
        return (await guard.admin("/readyz")).status == 200

    await eventually(ready)
    running.cancel()


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_it_is_not_ready_while_the_engine_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    cache = FakeCache(probe_status=503)
    readiness = Readiness(AppDownstream(cache), Clock())
    readiness.mark(93.0)
    assert readiness.ready
    with caplog.at_level(logging.CRITICAL):
        running = asyncio.create_task(readiness.run())
        await eventually(lambda: not readiness.ready)
    assert "503" in readiness.reason
    cache.probe_status = 200
    await eventually(lambda: readiness.ready)
    running.cancel()


async def test_a_token_that_comes_while_a_probe_fails_counts_more() -> None:
    clock, asked, token = Clock(), asyncio.Event(), asyncio.Event()

    async def busy(_scope: Scope, _receive: Receive, send: Send) -> None:
        asked.set()
        await token.wait()
        await send_error(send, engine_unavailable())

    readiness = Readiness(AppDownstream(busy), clock)
    probe = asyncio.create_task(readiness._probe())
    await asked.wait()
    clock.now += 1
    readiness.mark(clock.now)
    token.set()
    await probe
    assert readiness.ready


async def test_the_contract_in_use_is_a_metric(tmp_path: Path) -> None:
    guard = guarded(tmp_path, FakeCache())
    first = (await guard.admin("/config")).json["digest"]
    guard.use(contract(default_template="support"))
    second = (await guard.admin("/config")).json["digest"]
    assert await guard.metric(f'llmops_contract_info{{digest="{second}"}}') == 1
    assert await guard.metric(f'llmops_contract_info{{digest="{first}"}}') == 0
    assert await guard.metric("llmops_contract_changes_total") == 2
    assert await guard.metric("llmops_contract_refused") == 0


async def test_a_token_of_a_request_saves_a_probe() -> None:
    cache, clock = FakeCache(), Clock()
    readiness = Readiness(AppDownstream(cache), clock)
    readiness.mark(clock.now)
    running = asyncio.create_task(readiness.run())
    for _ in range(10):
        await asyncio.sleep(0)
    running.cancel()
    assert readiness.ready
    assert cache.order == []


async def test_the_contract_in_use_is_told_of_guard_and_cache(tmp_path: Path) -> None:
    guard = guarded(tmp_path, FakeCache())
    first = (await guard.admin("/config")).json
    assert first["error"] is None
    assert first["revisions"] == ["r1"]
    assert first["cache"] == {"digest": "abc", "error": None}
    guard.use(contract(default_template="support"))
    assert (await guard.admin("/config")).json["digest"] not in {None, first["digest"]}


async def test_a_cache_that_is_gone_is_told_of_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def gone(*_: object) -> None:
        raise OSError

    guard = Guard(tmp_path, AppDownstream(gone))
    guard.use(contract())
    with caplog.at_level(logging.CRITICAL):
        assert (await guard.admin("/config")).json["cache"] == {"digest": None, "error": "the cache does not answer"}
        assert (await guard.admin("/metrics")).status == 200
        answer = await guard.ask()
    assert (answer.status, answer.error["code"]) == (503, "engine_unavailable")


async def test_metrics_are_the_guards_and_then_the_caches(tmp_path: Path) -> None:
    text = (await guarded(tmp_path, FakeCache()).admin("/metrics")).body.decode()
    assert text.index("llmops_requests_in_flight 0.0") < text.index("llmops_cache_lookups_total 7.0")


async def test_a_drain_takes_requests_for_a_while_then_refuses_and_ends_when_the_last_stream_has(
    tmp_path: Path,
) -> None:
    held = asyncio.Event()
    cache = FakeCache([WRITER.role(), held, *said("x")[1:]])
    drain = Drain(linger_seconds=0.2)
    guard = guarded(tmp_path, cache, drain=drain)
    running = asyncio.create_task(guard.ask(question(stream=True)))
    await eventually(lambda: cache.requests)
    drained = asyncio.create_task(guard.admin("/drained"))
    assert (await guard.admin("/drain", "POST")).status == 200
    assert "draining" in (await guard.admin("/readyz")).error["message"]
    late = asyncio.create_task(guard.ask(question(stream=True)))
    await eventually(lambda: len(cache.requests) == 2)
    await eventually(lambda: drain.phase is Phase.REFUSING)
    refused = await guard.ask()
    assert (refused.status, refused.error["code"]) == (503, "draining")
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["connection"] == "close"
    assert not drained.done()
    held.set()
    assert [(await one).text for one in (running, late)] == ["x", "x"]
    assert (await drained).status == 200
    assert cache.order[-1] == "/drain"


async def test_a_drain_without_requests_ends_after_the_while(tmp_path: Path) -> None:
    guard = guarded(tmp_path, FakeCache(), drain=Drain(linger_seconds=0.0))
    async with asyncio.timeout(5):
        await guard.app.admin.start_drain()
    assert (await guard.admin("/drained")).status == 200


@pytest.mark.parametrize(
    ("client", "status"),
    [(LOOPBACK, 200), (("::1", 1), 200), (("10.0.0.5", 1), 403), (None, 403)],
    ids=["loopback", "loopback of IPv6", "another pod", "unknown"],
)
async def test_only_this_pod_may_drain(tmp_path: Path, client: tuple[str, int] | None, status: int) -> None:
    guard, sent = guarded(tmp_path, FakeCache()), Sent()
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/drain", "headers": [], "client": client}
    await guard.app.admin(scope, receiving(), sent)
    assert sent.messages[0]["status"] == status
    assert (guard.app.drain.phase is Phase.DRAINING) == (status == 200)


@pytest.mark.parametrize(
    ("client", "status"),
    [(LOOPBACK, 200), (("10.0.0.5", 1), 403), (None, 403)],
    ids=["loopback", "another pod", "unknown"],
)
async def test_only_this_pod_may_purge(tmp_path: Path, client: tuple[str, int] | None, status: int) -> None:
    cache, sent = FakeCache(), Sent()
    guard = guarded(tmp_path, cache)
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/purge", "headers": [], "client": client}
    await guard.app.admin(scope, receiving({"type": "http.request", "body": b'{"all": true}'}), sent)
    assert sent.messages[0]["status"] == status
    assert ("/purge" in cache.order) == (status == 200)


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"x" * 20_000], ids=["empty", "list", "not-utf8", "large"])
async def test_a_purge_that_cannot_be_read_goes_no_further(tmp_path: Path, body: bytes) -> None:
    cache = FakeCache()
    answer = await call(guarded(tmp_path, cache).app.admin, "POST", "/purge", body=body)
    assert answer.status in {400, 413}
    assert "/purge" not in cache.order


async def test_a_purge_without_a_cache_is_told(tmp_path: Path) -> None:
    async def broken(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ConnectionResetError

    answer = await call(guarded(tmp_path, broken).app.admin, "POST", "/purge", body={"all": True})
    assert (answer.status, answer.error["code"]) == (503, "not_ready")


async def test_a_purge_names_a_tenant_as_the_cache_knows_it(tmp_path: Path) -> None:
    asked = []

    async def cache(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append((scope["path"], msgspec.json.decode(await read_body(scope, receive, 1000))))
        await send_json(send, 200, b'{"removed":1,"shared":null}')

    answer = await call(guarded(tmp_path, cache).app.admin, "POST", "/purge", body={"tenant": "a", "template": "t"})
    assert answer.json == {"removed": 1, "shared": None}
    assert asked == [("/purge", {"tenant": known("a", TenantLimits()).partition, "template": "t"})]
