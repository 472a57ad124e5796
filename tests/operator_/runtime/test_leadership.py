from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from llmops_operator.cluster.client import Client
from llmops_operator.cluster.lease import LeaseRecord, LeaseStore
from llmops_operator.runtime.leadership import Elector, Sighting, Timing, is_free, sight
from tests.support.apiserver import FakeApi, until

FAST = Timing(lease=1, deadline=0.6, retry=0.05)


def record(holder: str = "other", seconds: int = 15, version: str = "1") -> LeaseRecord:
    return LeaseRecord(holder=holder, seconds=seconds, transitions=0, version=version)


@pytest.mark.parametrize(
    ("found", "age", "free"),
    [
        (record(), 15, False),
        (record(), 15.1, True),
        (record(holder=""), 0, True),
        (record(holder="me"), 0, True),
        (record(seconds=0), 10, False),
        (record(seconds=0), 21, True),
        (record(seconds=60), 21, False),
    ],
    ids=["in time", "lapsed", "released", "mine", "no duration", "no duration, lapsed", "longer than ours"],
)
def test_when_a_lease_may_be_taken(found: LeaseRecord, age: float, free: bool) -> None:  # noqa: FBT001 - a column
    assert is_free(Sighting(found, since=100), "me", 100 + age, default_seconds=20) is free


def test_a_change_is_seen_by_its_version_and_never_by_anybodys_clock() -> None:
    first = sight(None, record(), 10)
    assert sight(first, record(), 20) is first
    assert sight(first, record(version="2"), 20).since == 20


def test_a_change_of_hands_counts() -> None:
    assert record().held_by("me").transitions == 1
    assert record(holder="me").held_by("me").transitions == 0


class Hands:
    """A clock that a test turns, and a log of who acts."""

    def __init__(self) -> None:
        self.offset = 0.0
        self.acting: list[str] = []
        self.starts = 0

    def clock(self) -> float:
        return asyncio.get_running_loop().time() + self.offset

    def act(self, who: str) -> Callable[[], Any]:
        async def acting() -> None:
            self.acting.append(who)
            self.starts += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.acting.remove(who)

        return acting


@asynccontextmanager
async def electing(
    api: FakeApi, who: str, hands: Hands, act: Callable[[], Any] | None = None
) -> AsyncIterator[tuple[Elector, asyncio.Task[None]]]:
    client = Client(api.connection(who), seconds=0.3)
    elector = Elector(LeaseStore(client, "system", "lease"), who, hands.clock, FAST)
    task = asyncio.create_task(elector.run(act or hands.act(who)))
    try:
        yield elector, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.close()


def lease(api: FakeApi) -> dict[str, Any]:
    spec: dict[str, Any] = (api.find("Lease", "system", "lease") or {}).get("spec", {})
    return spec


async def test_a_lease_is_made_held_renewed_and_released(api: FakeApi) -> None:
    hands = Hands()
    async with electing(api, "a", hands) as (elector, _):
        await until(lambda: hands.acting == ["a"], "a acts")
        assert elector.leading
        assert (lease(api)["holderIdentity"], lease(api)["leaseDurationSeconds"]) == ("a", 1)
        taken, acquired = lease(api)["renewTime"], lease(api)["acquireTime"]
        await until(lambda: lease(api)["renewTime"] > taken, "a renewal")
        assert lease(api)["acquireTime"] == acquired
    assert (elector.authority(), hands.acting, lease(api)["holderIdentity"]) == (0, [], "")


async def test_a_released_lease_is_taken_at_once(api: FakeApi) -> None:
    hands = Hands()
    async with electing(api, "b", hands):
        await until(lambda: hands.acting == ["b"], "b acts")
        async with electing(api, "a", hands):
            await asyncio.sleep(0.2)
            assert hands.acting == ["b"]
    async with electing(api, "a", hands):
        await until(lambda: hands.acting == ["a"], "a acts", FAST.lease / 2)
    assert lease(api)["leaseTransitions"] >= 1


async def test_only_one_of_many_acts(api: FakeApi) -> None:
    hands = Hands()
    async with electing(api, "a", hands), electing(api, "b", hands), electing(api, "c", hands):
        await until(lambda: hands.acting, "somebody acts")
        for _ in range(30):
            await asyncio.sleep(0.02)
            assert len(hands.acting) == 1


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 500}, {"status": 403}], ids=["cut off", "500", "403"])
async def test_who_cannot_renew_stops_before_another_starts(api: FakeApi, fault: dict[str, Any]) -> None:
    hands, seen = Hands(), []
    async with electing(api, "a", hands):
        await until(lambda: hands.acting == ["a"], "a acts")
        async with electing(api, "b", hands):
            api.fail(who="a", **fault)
            while "b" not in hands.acting:
                seen.append(tuple(hands.acting))
                await asyncio.sleep(0.01)
    assert ("a",) in seen
    assert () in seen
    assert not [one for one in seen if len(one) > 1]


async def test_a_process_that_stood_still_does_not_act_on(api: FakeApi) -> None:
    hands = Hands()
    async with electing(api, "a", hands) as (elector, _):
        await until(lambda: elector.leading, "a leads")
        hands.offset += FAST.deadline
        assert elector.authority() == 0
        await until(lambda: hands.starts == 2, "a stops and takes it anew")
        assert hands.acting == ["a"]


async def test_a_lease_taken_by_force_is_noticed(api: FakeApi) -> None:
    hands = Hands()
    async with electing(api, "a", hands) as (elector, _):
        await until(lambda: elector.leading, "a leads")
        api.edit("Lease", "system", "lease", {"spec": {"holderIdentity": "thief", "leaseDurationSeconds": 60}})
        await until(lambda: not elector.leading and hands.acting == [], "a stops", FAST.deadline)
    assert lease(api)["holderIdentity"] == "thief"


async def test_a_deleted_lease_is_made_again(api: FakeApi) -> None:
    hands = Hands()
    async with electing(api, "a", hands) as (elector, _):
        await until(lambda: elector.leading, "a leads")
        api.remove("Lease", "system", "lease")
        await until(lambda: lease(api), "a new lease")
        await until(lambda: elector.leading, "a leads again")


async def test_what_the_leader_dies_of_is_raised_and_the_lease_released(api: FakeApi) -> None:
    async def broken() -> None:
        raise ValueError("broken")

    async with electing(api, "a", Hands(), broken) as (_, task):
        with pytest.raises(ValueError, match="broken"):
            await asyncio.wait_for(task, 5)
        assert lease(api)["holderIdentity"] == ""


async def test_an_unreachable_server_is_waited_for(api: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    fault, hands = api.fail(status=503), Hands()
    async with electing(api, "a", hands) as (elector, _):
        await until(lambda: fault.seen > 2, "tries")
        assert not elector.leading
        fault.clear()
        await until(lambda: elector.leading, "a leads")
    assert "the lease cannot be read or written" in caplog.text
