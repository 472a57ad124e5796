from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from llmops_operator.cluster.client import Client
from llmops_operator.runtime import resync as module
from llmops_operator.runtime.events import Event
from llmops_operator.runtime.resync import JITTER, Resync
from tests.operator_.runtime.running import deployment, template
from tests.support.apiserver import FakeApi, until


class Taken(list[tuple[str, float]]):
    def take(self, event: Event, delay: float) -> None:
        self.append((f"{event.document['kind']}/{event.document['metadata']['name']}", delay))


@asynccontextmanager
async def resyncing(api: FakeApi, seconds: float, namespaces: Sequence[str] = ()) -> AsyncIterator[Taken]:
    client, taken = Client(api.connection()), Taken()
    task = asyncio.create_task(Resync(client, namespaces, seconds, taken.take).run())
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
