from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from llmops_operator.cluster.client import Client
from llmops_operator.runtime import resync as module
from llmops_operator.runtime.events import Event, Known, affected
from llmops_operator.runtime.resync import JITTER, Resync
from tests.operator_.runtime.running import NAMESPACE, deployment, template
from tests.support.apiserver import FakeApi, until


class Taken(list[tuple[str, float]]):
    """What was handed on; `soon` tells the resync of a list."""

    def __init__(self, client: Client, namespaces: Sequence[str], seconds: float) -> None:
        super().__init__()
        self.known, self.gone = Known(), list[str]()
        self._resync = Resync(client, namespaces, seconds, self.take, self.known.objects)
        self.soon, self.run = self._resync.soon, self._resync.run

    def take(self, event: Event, delay: float) -> None:
        affected(event, self.known)
        name = f"{event.document['kind']}/{event.document['metadata']['name']}"
        if event.gone:
            self.gone.append(name)
        else:
            self.append((name, delay))


@asynccontextmanager
async def resyncing(api: FakeApi, seconds: float, namespaces: Sequence[str] = ()) -> AsyncIterator[Taken]:
    client = Client(api.connection())
    taken = Taken(client, namespaces, seconds)
    task = asyncio.create_task(taken.run())
    try:
        yield taken
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.close()


async def test_everything_is_looked_at_at_once_and_then_again_spread_over_time(api: FakeApi) -> None:
    api.put(deployment())
    api.put(template())
    async with resyncing(api, 0.2) as taken:
        await until(lambda: len(taken) >= 2, "the first round")
        assert taken[:2] == [("LLMDeployment/chat", 0.0), ("PromptTemplate/support", 0.0)]
        await until(lambda: len(taken) >= 8, "further rounds")
    assert all(0 <= delay <= 0.2 * JITTER for _, delay in taken[2:])
    assert any(delay > 0 for _, delay in taken[2:])


async def test_only_the_named_namespaces_are_listed(api: FakeApi) -> None:
    elsewhere = deployment("other")
    elsewhere["metadata"]["namespace"] = "team-b"
    api.put(elsewhere)
    api.put(deployment())
    async with resyncing(api, 60, ("team-a", "team-c")) as taken:
        await until(lambda: taken, "a round")
    assert [name for name, _ in taken] == ["LLMDeployment/chat"]


async def test_a_list_that_fails_is_tried_again_soon(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    api.put(deployment())
    fault = api.fail(status=500, times=3)
    async with resyncing(api, 3600) as taken:
        await until(lambda: taken, "a round")
    assert fault.times == 0
    assert "resync:" in caplog.text


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BURST_SECONDS", 0.05)
    monkeypatch.setattr(module, "LEAST_SECONDS", 0.2)


@pytest.mark.usefixtures("quick")
async def test_a_burst_of_lists_makes_one_resync_that_is_not_spread(api: FakeApi) -> None:
    api.put(deployment())
    async with resyncing(api, 3600) as taken:
        await until(lambda: taken, "the first round")
        for _ in range(10):
            taken.soon()
        await until(lambda: len(taken) == 2, "the second round")
        await asyncio.sleep(0.4)
        assert taken == [("LLMDeployment/chat", 0.0)] * 2


@pytest.mark.usefixtures("quick")
async def test_watches_that_read_lists_for_ever_make_no_hot_loop(api: FakeApi) -> None:
    api.put(deployment())
    async with resyncing(api, 3600) as taken:
        for _ in range(100):
            taken.soon()
            await asyncio.sleep(0.01)
        assert 2 <= len(taken) <= 1 + 1.5 / 0.2


@pytest.mark.usefixtures("quick")
async def test_what_went_without_an_event_is_handed_on_as_gone_once(api: FakeApi) -> None:
    api.put(deployment())
    api.put(template())
    async with resyncing(api, 3600) as taken:
        await until(lambda: len(taken) == 2, "the first round")
        api.remove("PromptTemplate", NAMESPACE, "support")
        for _ in range(2):
            count = len(taken)
            taken.soon()
            await until(lambda count=count: len(taken) > count, "another round")  # type: ignore[misc]
    assert taken.gone == ["PromptTemplate/support"]
    assert {key.name for key in taken.known.objects()} == {"chat"}
