"""Ten times more than can be served, for half a minute of virtual time: what is served, how fast, and for whom."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from llmops_sidecars.contract import Access, ApiKeys, Limits, Tenant, TenantLimits, encode
from llmops_sidecars.guard.app import GuardApp
from llmops_sidecars.guard.serving import Serving, build
from llmops_sidecars.proxy.asgi import Receive, Scope, Send
from llmops_sidecars.proxy.contract_file import ContractFile
from llmops_sidecars.proxy.inprocess import AppDownstream
from tests.sidecars_.guard.kit import CHAT, FakeCache, contract, question, said
from tests.support import virtual
from tests.support.asgi import call
from tests.support.mounts import Mount

SLOTS, QUEUE, QUEUE_SECONDS, SERVICE_SECONDS = 20, 40, 2.0, 1.0
PEAK = SLOTS / SERVICE_SECONDS
TENANTS = ("greedy", "one", "two", "heavy")
WEIGHTS = {"heavy": 2}
SECONDS = 30.0


class Engine(FakeCache):
    """An engine that takes its time: each answer up to a third more or less than the mean."""

    def __init__(self) -> None:
        super().__init__(said("Hello"))
        self._dice = random.Random(3)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == CHAT:
            await asyncio.sleep(SERVICE_SECONDS * self._dice.uniform(2 / 3, 4 / 3))
        await super().__call__(scope, receive, send)


@dataclass
class Outcome:
    """What became of the load."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    """Of the answers that were served, from the request's first byte to the last of the answer."""
    most_at_once: int = 0
    """Requests that ran or waited."""

    @property
    def goodput(self) -> float:
        """Answers a second."""
        return sum(count for (_, status), count in self.statuses.items() if status == 200) / SECONDS

    def served(self, tenant: str) -> float:
        """Answers a second of one tenant."""
        return self.statuses[tenant, 200] / SECONDS


def guard_in(directory: Path, clock: Callable[[], float]) -> GuardApp:
    mount = Mount(directory / "keys")
    mount.put({name: f"sk-{name}-0123456789abcdef" for name in TENANTS})
    tenants = tuple(Tenant(name, TenantLimits(weight=weight)) for name, weight in WEIGHTS.items())
    limits = Limits(concurrent_requests=SLOTS, queued_requests=QUEUE, queue_seconds=QUEUE_SECONDS)
    (directory / "contract.json").write_bytes(
        encode(contract(limits=limits, access=Access(ApiKeys(str(mount.folder)), tenants=tenants)))
    )
    file: ContractFile[Serving] = ContractFile(directory / "contract.json", build)
    file.check()
    return GuardApp(file, AppDownstream(Engine()), clock=clock)


async def under(directory: Path, rates: dict[str, float]) -> Outcome:
    """So many requests a second of each tenant, at random moments, whatever becomes of the former ones."""
    loop = asyncio.get_running_loop()
    app, outcome, tasks = guard_in(directory, loop.time), Outcome(), set()
    dice = random.Random(5)
    body = msgspec.json.encode(question())

    async def one(tenant: str) -> None:
        started = loop.time()
        key = [(b"api-key", f"sk-{tenant}-0123456789abcdef".encode())]
        answer = await call(app, "POST", CHAT, body=body, headers=key)
        outcome.statuses[tenant, answer.status] += 1
        if answer.status == 200:
            outcome.seconds.append(loop.time() - started)

    names, weights = list(rates), list(rates.values())
    while loop.time() < SECONDS:
        await asyncio.sleep(dice.expovariate(sum(weights)))
        tasks.add(task := asyncio.create_task(one(dice.choices(names, weights)[0])))
        task.add_done_callback(tasks.discard)
        outcome.most_at_once = max(outcome.most_at_once, app.drain.in_flight)
    await asyncio.gather(*tasks)
    return outcome


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


@pytest.mark.parametrize("times", [2, 10])
def test_far_too_much_is_served_as_well_as_just_enough(tmp_path: Path, times: int) -> None:
    rates = {"greedy": 0.7 * times * PEAK, "one": 0.1 * times * PEAK, "two": 0.1 * times * PEAK}
    outcome = virtual.run(under(tmp_path, rates | {"heavy": 0.1 * times * PEAK}))
    assert outcome.goodput >= 0.9 * PEAK
    assert percentile(outcome.seconds, 0.99) <= QUEUE_SECONDS + 4 / 3 * SERVICE_SECONDS
    assert outcome.most_at_once <= SLOTS + QUEUE + 1
    assert {status for _, status in outcome.statuses} == {200, 429}


def test_what_is_served_is_shared_by_weight_and_not_by_who_asks_most(tmp_path: Path) -> None:
    rates = {"greedy": 7 * PEAK, "one": PEAK, "two": PEAK, "heavy": PEAK}
    outcome = virtual.run(under(tmp_path, rates))
    shares = {name: outcome.served(name) / outcome.goodput for name in TENANTS}
    assert shares == pytest.approx({"greedy": 0.2, "one": 0.2, "two": 0.2, "heavy": 0.4}, abs=0.03)


def test_who_asks_for_less_than_its_share_gets_all_of_it(tmp_path: Path) -> None:
    outcome = virtual.run(under(tmp_path, {"greedy": 10 * PEAK, "one": 0.1 * PEAK, "two": 0.1 * PEAK}))
    for name in ("one", "two"):
        asked = sum(count for (tenant, _), count in outcome.statuses.items() if tenant == name)
        assert outcome.statuses[name, 200] >= 0.95 * asked
    assert outcome.goodput >= 0.9 * PEAK
