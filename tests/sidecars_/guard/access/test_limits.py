"""The guard with limits: what tenants may have of it, and what it says when they have had it."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from llmops_sidecars.contract import Limits, Tenant, TenantLimits
from tests.sidecars_.guard.access.test_access import A, B, Keyed
from tests.sidecars_.guard.kit import contract, question, said
from tests.support.asgi import Answer, eventually


def limited(directory: Path, limits: Limits | None = None, **tenants: TenantLimits) -> Keyed:
    """A guard that gives these limits to tenants, by their names with an underscore."""
    declared = tuple(Tenant(name.replace("_", "-"), one) for name, one in tenants.items())
    keyed = Keyed(directory, tenants=declared)
    if limits is not None:
        access = keyed.guard.file.current.contract.access  # type: ignore[union-attr]
        keyed.guard.use(contract(access=access, limits=limits))
    return keyed


async def test_a_tenant_that_has_had_its_requests_is_told_when_to_come_back(tmp_path: Path) -> None:
    keyed = limited(tmp_path, team_a=TenantLimits(requests_per_minute=2))
    served = [await keyed.ask(A) for _ in range(2)]
    refused = await keyed.ask(A)
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in served] == ["1", "0"]
    assert (refused.status, refused.error["code"], refused.error["type"]) == (429, "rate_limit_exceeded", "requests")
    assert int(refused.headers["retry-after"]) in range(25, 31)
    assert refused.headers["x-ratelimit-limit-requests"] == "2"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert (await keyed.ask(B)).status == 200, "others are not concerned"
    assert len(keyed.cache.requests) == 3
    assert await keyed.guard.metric('llmops_tenant_requests_total{result="limited",tenant="team-a"}') == 1


async def test_tokens_are_charged_as_the_engine_counts_them(tmp_path: Path) -> None:
    keyed = limited(tmp_path, team_a=TenantLimits(tokens_per_minute=100))
    keyed.cache.script = said(*["word "] * 147)
    first = await keyed.ask(A)
    assert first.status == 200
    assert int(first.headers["x-ratelimit-remaining-tokens"]) < 100
    refused = await keyed.ask(A)
    assert (refused.status, refused.error["type"]) == (429, "tokens")
    assert int(refused.headers["retry-after"]) in range(26, 32), "150 of 100 tokens are spent; one is there after 51"


async def test_a_stream_says_what_is_left_as_it_begins(tmp_path: Path) -> None:
    keyed = limited(tmp_path, team_a=TenantLimits(requests_per_minute=2))
    answer = await keyed.guard.ask(question(stream=True), api_key=A)
    assert answer.headers["x-ratelimit-remaining-requests"] == "1"
    assert 25 <= float(answer.headers["x-ratelimit-reset-requests"].removesuffix("s")) <= 30


async def test_a_refused_prompt_costs_no_tokens(tmp_path: Path) -> None:
    keyed = limited(tmp_path, team_a=TenantLimits(tokens_per_minute=100))
    blocked = await keyed.guard.ask(question("my key is AKIAIOSFODNN7EXAMPLE"), api_key=A)
    assert blocked.status == 400
    assert (await keyed.ask(A)).status == 200


async def test_a_large_body_is_refused_before_anything_is_done_with_it(tmp_path: Path) -> None:
    keyed = limited(tmp_path, team_a=TenantLimits(tokens_per_minute=100))
    keyed.cache.script = said(*["word "] * 40)
    await keyed.ask(A)
    refused = await keyed.guard.ask(question("word " * 70), api_key=A)
    assert (refused.status, refused.error["type"], keyed.cache.order.count("/v1/chat/completions")) == (
        429,
        "tokens",
        1,
    )


async def test_so_many_of_a_tenants_requests_run_and_wait_and_others_go_by(tmp_path: Path) -> None:
    gate = asyncio.Event()
    keyed = limited(tmp_path, team_a=TenantLimits(concurrent_requests=1, queued_requests=1))
    keyed.cache.script = [gate, *said("Hello")]
    asked = [asyncio.create_task(keyed.ask(A)) for _ in range(2)]
    in_flight, queued = "llmops_requests_in_flight", "llmops_requests_queued"

    async def settled() -> bool:
        return (await keyed.guard.metric(in_flight), await keyed.guard.metric(queued)) == (1, 1)

    await eventually(settled)
    refused = await keyed.ask(A)
    assert (refused.status, refused.error["code"]) == (429, "concurrency_limit_exceeded")
    other = asyncio.create_task(keyed.ask(B))
    await eventually(lambda: len(keyed.cache.requests) == 2)
    gate.set()
    assert [answer.status for answer in await asyncio.gather(*asked, other)] == [200, 200, 200]


async def test_a_request_that_cannot_start_in_time_is_told_so(tmp_path: Path) -> None:
    gate = asyncio.Event()
    keyed = limited(tmp_path, Limits(concurrent_requests=1, queued_requests=5, queue_seconds=0.05))
    keyed.cache.script = [gate, *said("Hello")]
    first = asyncio.create_task(keyed.ask(A))
    await eventually(lambda: keyed.cache.requests)
    late = await keyed.ask(B)
    assert (late.status, late.error["code"]) == (429, "too_many_requests")
    gate.set()
    assert (await first).status == 200


async def test_a_greedy_tenant_leaves_room_for_others(tmp_path: Path) -> None:
    """One slot, a queue of ten, all of it one tenant's: another's requests are served in turn with it."""
    keyed = limited(tmp_path, Limits(concurrent_requests=1, queued_requests=10))
    gate = asyncio.Event()
    keyed.cache.script = [gate, *said("Hello")]
    answers: list[tuple[str, Answer]] = []

    async def one(name: str, key: str) -> None:
        answers.append((name, await keyed.ask(key)))

    greedy = [asyncio.create_task(one("a", A)) for _ in range(30)]
    await eventually(lambda: sum(task.done() for task in greedy) == 19)
    modest = [asyncio.create_task(one("b", B)) for _ in range(3)]
    await eventually(lambda: len(answers) == 22)
    gate.set()
    await asyncio.gather(*greedy, *modest)
    results = Counter((name, answer.status) for name, answer in answers)
    assert results == {("a", 200): 8, ("a", 429): 22, ("b", 200): 3}
    served = [name for name, answer in answers if answer.status == 200]
    assert served.index("b") <= 2


async def test_limits_follow_the_contract(tmp_path: Path) -> None:
    keyed = limited(tmp_path, team_a=TenantLimits(requests_per_minute=1))
    assert [(await keyed.ask(A)).status for _ in range(2)] == [200, 429]
    access = keyed.guard.file.current.contract.access  # type: ignore[union-attr]
    keyed.guard.use(contract(access=access, limits=Limits(queued_requests=7)))
    assert (await keyed.ask(A)).status == 429, "its own limits have not changed"
    keyed.guard.use(contract(access=msgspec.structs.replace(access, tenants=())))
    assert (await keyed.ask(A)).status == 200


@pytest.mark.parametrize("key", [A, B])
async def test_tenants_without_limits_of_their_own_have_the_default(tmp_path: Path, key: str) -> None:
    own = (Tenant("team-a", TenantLimits(requests_per_minute=100)),)
    keyed = Keyed(tmp_path, tenants=own, default_limits=TenantLimits(requests_per_minute=1))
    statuses = [(await keyed.ask(key)).status for _ in range(2)]
    assert statuses == ([200, 200] if key == A else [200, 429])
