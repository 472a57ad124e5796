"""The cache's application with a shared store: two pods in one process, a real server between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from llmops_sidecars.contract import SharedStore, encode
from tests.sidecars_.cache.kit import Bench, contract
from tests.sidecars_.cache.shared.kit import settings
from tests.support.asgi import eventually
from tests.support.triton import free_ports
from tests.support.valkey import Server

ANSWER = "The sky is blue because air scatters short waves of light. " * 3


def bench(folder: Path, store: SharedStore, text: str | None = ANSWER, **more: float) -> Bench:
    folder.mkdir()
    return Bench(folder, text=text, settings=contract(shared=store, **more))  # type: ignore[arg-type]  # ttl alone


@pytest.fixture
async def pods(server: Server, tmp_path: Path) -> AsyncIterator[tuple[Bench, Bench]]:
    """Two pods whose clocks are one."""
    one, other = (bench(tmp_path / name, settings(server.port)) for name in ("one", "other"))
    async with one.connected(), other.connected():
        yield one, other


async def written(one: Bench, times: int = 1) -> None:
    async def done() -> bool:
        return await one.metric("llmops_cache_shared_requests_total", command="set", outcome="done") == times

    await eventually(done)


async def test_an_answer_of_one_pod_is_a_hit_in_the_other(pods: tuple[Bench, Bench]) -> None:
    one, other = pods
    await one.remember()
    await written(one)
    one.clock.now += 5
    other.clock.now += 5
    first = await other.ask()
    assert (first.outcome, first.text, first.headers["age"]) == ("hit-shared", ANSWER, "5")
    again = await other.ask(x_request_id="r2")
    assert (again.outcome, again.text, again.headers["age"]) == ("hit", ANSWER, "5")
    assert other.engine.generations == []


async def test_what_another_pod_remembered_expires_as_if_it_were_its_own(pods: tuple[Bench, Bench]) -> None:
    one, other = pods
    await one.remember()
    await written(one)
    other.clock.now += 50
    assert (await other.ask()).outcome == "hit-shared"
    other.clock.now += 11
    assert (await other.ask()).outcome == "miss"


@pytest.mark.parametrize(
    "headers",
    [
        {"x_llmops_tenant": "tenant-b"},
        {"x_llmops_tenant": "anonymous"},
        {"x_llmops_policy": "strict-2"},
        {"x_llmops_prompt": "support@2"},
        {"cache_control": "max-age=0"},
    ],
    ids=["tenant", "no-credential", "policy", "template", "age"],
)
async def test_others_get_nothing_of_it(pods: tuple[Bench, Bench], headers: dict[str, str]) -> None:
    one, other = pods
    await one.remember()
    await written(one)
    assert (await other.ask(None, **headers)).outcome == "miss"


async def test_what_other_tenants_asked_makes_no_difference_that_could_be_timed(
    pods: tuple[Bench, Bench], server: Server
) -> None:
    """Whether another tenant's answer is there or not, the same is done: one look-up, one generation, one write."""
    one, other = pods
    seen = []
    for number, prepared in enumerate((False, True)):
        question = {"model": "chat", "messages": [{"role": "user", "content": f"question {number}"}]}
        if prepared:
            await one.remember(question)
            await written(one)
        server.ask("CONFIG", "RESETSTAT")
        before = len(other.engine.generations)
        name = f"b{number}"
        answer = await other.remember(question, x_llmops_tenant="tenant-b", x_request_id=name)
        await written(other, number + 1)
        stats = server.ask("INFO", "commandstats")
        assert isinstance(stats, bytes)
        calls = [line.partition(b",")[0] for line in stats.split() if line.startswith((b"cmdstat_get", b"cmdstat_set"))]
        seen.append((answer.outcome, sorted(calls), len(other.engine.generations) - before))
    assert seen[0] == seen[1] == ("miss", [b"cmdstat_get:calls=1", b"cmdstat_set:calls=1"], 1)


async def test_no_store_and_no_cache_do_not_ask_the_store(pods: tuple[Bench, Bench]) -> None:
    one, other = pods
    await one.remember()
    await written(one)
    for header in ("no-store", "no-cache"):
        assert (await other.ask(cache_control=header)).outcome == "bypass"
    assert await other.metric("llmops_cache_shared_requests_total", command="get") == 0


async def test_what_has_not_passed_the_guard_reaches_no_pod(pods: tuple[Bench, Bench]) -> None:
    one, other = pods
    await one.ask()
    assert (await other.ask()).outcome == "miss"
    assert await one.metric("llmops_cache_shared_requests_total", command="set") == 0


async def test_a_store_that_somebody_fills_with_an_answer_of_another_tenant_gives_none(
    pods: tuple[Bench, Bench], server: Server
) -> None:
    one, other = pods
    for number, tenant in enumerate(("tenant-a", "tenant-b")):
        await one.remember(x_llmops_tenant=tenant, x_request_id=f"r{number}")
    await written(one, 2)
    first, second = server.keys("*entry*")
    for source, target in ((first, "spare"), (second, first), ("spare", second)):
        server.ask("RENAME", source, target)
    for tenant in ("tenant-a", "tenant-b"):
        assert (await other.ask(x_llmops_tenant=tenant)).outcome == "miss"
    assert await other.metric("llmops_cache_shared_requests_total", outcome="damaged") == 2


async def test_a_purge_in_one_pod_reaches_the_other(pods: tuple[Bench, Bench]) -> None:
    one, other = pods
    await one.remember()
    await written(one)
    assert (await other.ask()).outcome == "hit-shared"
    assert await one.purge(template="support") == {"removed": 1, "shared": True}

    async def forgotten() -> bool:
        return await other.metric("llmops_cache_evictions_total", reason="purged") == 1

    await eventually(forgotten)
    assert (await other.ask()).outcome == "miss"


async def test_requests_that_arrive_while_the_store_is_asked_share_one_generation(
    server: Server, tmp_path: Path
) -> None:
    one = bench(tmp_path / "one", settings(server.port), text=None)
    async with one.connected():
        asked = [asyncio.create_task(one.ask(x_request_id=f"s{number}")) for number in range(5)]
        await one.until_asked("shared", 4)
        (await one.engine.next()).say("a").end()
        outcomes = sorted(str(answer.outcome) for answer in await asyncio.gather(*asked))
    assert outcomes == ["miss", *["shared"] * 4]
    assert len(one.engine.generations) == 1


async def test_without_its_store_a_pod_answers_as_ever_and_says_why(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    one = bench(tmp_path / "one", settings(port))
    working = asyncio.create_task(one.app.run())
    try:
        assert (await one.remember()).outcome == "miss"
        assert (await one.ask()).outcome == "hit"

        async def told() -> bool:
            state = msgspec.json.decode((await one.call("GET", "/config")).body)
            return "ConnectionRefusedError" in state.get("shared", "")

        await eventually(told)
        assert await one.purge(all=True) == {"removed": 1, "shared": False}
    finally:
        working.cancel()
        await asyncio.wait({working})


async def test_the_store_changes_with_the_contract(server: Server, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    one = bench(tmp_path / "one", settings(port))
    working = asyncio.create_task(one.app.run())
    try:
        one.write(encode(contract(shared=settings(server.port))))

        async def connected() -> bool:
            return await one.metric("llmops_cache_shared_connections") > 0

        await eventually(connected)
        await one.remember()
        await written(one)
        one.write(encode(contract()))
        assert await one.metric("llmops_cache_shared_connections") == 0
        assert "shared" not in msgspec.json.decode((await one.call("GET", "/config")).body)
        assert (await one.ask()).outcome == "hit"
    finally:
        working.cancel()
        await asyncio.wait({working})
