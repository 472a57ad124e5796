"""kopf against the small API server: what it asks for, what it hands on, and that it never writes."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from llmops_operator import names
from llmops_operator.cluster import kinds
from llmops_operator.handlers import watch
from llmops_operator.handlers.watch import EndlessBackoff
from llmops_operator.runtime.events import Event
from llmops_operator.runtime.operator import Wires
from llmops_operator.settings import Settings
from tests.support.apiserver import FakeApi, until

LABELS = {names.LABEL_MANAGED_BY: names.MANAGED_BY}


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi().serve() as server:
        yield server


class Watching:
    """What came, and how it ended; kopf runs in a thread and loop of its own, as it always does."""

    def __init__(self, api: FakeApi, settings: Settings) -> None:
        self.events: list[Event] = []
        self.heard = 0
        self.lists = 0
        self.ended: BaseException | None = None
        self._wires = Wires(api.connection("kopf"), settings, self.events.append, self._hear, self._list)
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _hear(self) -> None:
        self.heard += 1

    def _list(self) -> None:
        self.lists += 1

    def _run(self) -> None:
        async def watching() -> None:
            self._stop = (asyncio.get_running_loop(), asyncio.Event())
            await watch(self._wires, self._stop[1])

        try:
            asyncio.run(watching())
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.ended = error

    def stop(self) -> None:
        if self._stop is not None and not self._stop[0].is_closed():
            self._stop[0].call_soon_threadsafe(self._stop[1].set)

    def names(self) -> list[tuple[str, str, bool]]:
        return [(one.document["kind"], one.document["metadata"]["name"], one.gone) for one in self.events]


@asynccontextmanager
async def watching(api: FakeApi, settings: Settings | None = None) -> AsyncIterator[Watching]:
    made = Watching(api, settings or Settings())
    made.thread.start()
    try:
        yield made
    finally:
        made.stop()
        await asyncio.to_thread(made.thread.join, 5)
        assert not made.thread.is_alive(), "it did not stop in time"


def thing(kind: kinds.Kind, name: str, namespace: str = "team", labels: dict[str, str] | None = None) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": labels or {}}
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": {"a": 1}}


def watches(api: FakeApi) -> set[str]:
    return {one.path for one in api.log if one.method == "GET"}


async def test_every_kind_is_listed_handed_on_and_left_alone(api: FakeApi) -> None:
    for kind in kinds.WATCHED:
        api.put(thing(kind, "one", labels=LABELS))
    async with watching(api) as found:
        await until(lambda: len(found.events) == len(kinds.WATCHED), "every object")
        assert {name for name, _, _ in found.names()} == {kind.name for kind in kinds.WATCHED}
        assert found.events[0].document["spec"] == {"a": 1}
        for kind in kinds.WATCHED:
            api.edit(kind.name, "team", "one", {"spec": {"a": 2}})
            api.remove(kind.name, "team", "one")
        await until(lambda: sum(one.gone for one in found.events) == len(kinds.WATCHED), "every deletion")
    assert found.ended is None
    assert found.heard > 0
    assert not [one for one in api.log if one.is_write]
    assert {one.who for one in api.log} == {"kopf"}


async def test_lists_are_told_and_watches_are_not(api: FakeApi) -> None:
    async with watching(api) as found:
        await until(lambda: found.lists == len(kinds.WATCHED), "one list of every kind")
        api.break_watches()
        api.put(thing(kinds.LLM_DEPLOYMENT, "one"))
        await until(lambda: found.events, "an event of the next watch")
        assert found.lists == len(kinds.WATCHED)
        expired = {"type": "ERROR", "object": {"kind": "Status", "code": 410}}
        api.fail(watch=True, path="/pods$", times=1, status=200, body=expired)
        api.break_watches()
        await until(lambda: found.lists == len(kinds.WATCHED) + 1, "one list is read again")


async def test_objects_that_are_not_ours_are_not_even_sent(api: FakeApi) -> None:
    api.put(thing(kinds.CONFIG_MAP, "theirs"))
    api.put(thing(kinds.POD, "theirs", labels={names.LABEL_MANAGED_BY: "helm"}))
    async with watching(api) as found:
        await until(lambda: kinds.POD.path() in watches(api), "the watches")
        api.put(thing(kinds.CONFIG_MAP, "ours", labels=LABELS))
        await until(lambda: found.events, "ours")
        assert found.names() == [("ConfigMap", "ours", False)]


async def test_namespaced_it_asks_for_nothing_of_the_cluster(api: FakeApi) -> None:
    async with watching(api, Settings(namespaces=("team", "other"))) as found:
        await until(lambda: len([p for p in watches(api) if "/namespaces/" in p]) >= 2 * len(kinds.WATCHED), "watches")
        api.put(thing(kinds.LLM_DEPLOYMENT, "here", "other"))
        api.put(thing(kinds.LLM_DEPLOYMENT, "there", "third"))
        await until(lambda: found.events, "an event")
        assert found.names() == [("LLMDeployment", "here", False)]
    collections = {kind.path() for kind in kinds.WATCHED}
    assert not watches(api) & (collections | {"/api/v1/namespaces"})


@pytest.mark.parametrize(
    "fault",
    [{"status": 404}, {"status": 200, "body": {"type": "ERROR", "object": {"kind": "Status", "code": 500}}}],
    ids=["404", "ERROR 500"],
)
async def test_what_kopf_dies_of_is_raised_soon(api: FakeApi, fault: dict[str, Any]) -> None:
    async with watching(api) as found:
        await until(lambda: kinds.POD.path() in watches(api), "the watches")
        api.fail(watch=True, **fault)
        api.break_watches()
        await until(lambda: found.ended, "its end", 6)
        await until(lambda: not found.thread.is_alive(), "the thread's end", 2)
        await until(lambda: not api.connections(), "no connection is left", 2)


async def test_it_goes_on_through_lost_connections_and_errors(api: FakeApi) -> None:
    async with watching(api) as found:
        await until(lambda: kinds.POD.path() in watches(api), "the watches")
        fault = api.fail(watch=True, status=503, times=4)
        api.break_watches()
        await until(lambda: fault.times == 0, "every fault")
        api.put(thing(kinds.LLM_DEPLOYMENT, "one"))
        await until(lambda: found.events, "an event")
        assert found.ended is None


@pytest.mark.parametrize("objects", [1, 40, 400])
async def test_it_ends_at_once_while_objects_arrive(api: FakeApi, objects: int) -> None:
    """A coroutine of kopf that nobody has awaited would warn, and fail the test."""
    for number in range(objects):
        api.put(thing(kinds.LLM_DEPLOYMENT, f"many-{number}"))
    async with watching(api) as found:
        await until(lambda: found.events, "the first event")
        for number in range(objects):
            api.edit("LLMDeployment", "team", f"many-{number}", {"spec": {"a": 2}})
        found.stop()
        await until(lambda: not found.thread.is_alive(), "its end", 2)
    assert found.ended is None
    gc.collect()


def test_the_backoff_never_ends_and_can_be_used_again() -> None:
    backoff = EndlessBackoff()
    for _ in range(2):
        waits = list(itertools.islice(backoff, 50))
        assert 0.8 <= waits[0] <= 1.2
        assert all(0.8 <= wait <= 18 for wait in waits)
        assert waits[-1] >= 12
