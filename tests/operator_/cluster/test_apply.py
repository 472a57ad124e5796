from __future__ import annotations

from typing import Any

import pytest

from llmops_operator import names
from llmops_operator.cluster.apply import REPAIR_SECONDS, Applier, Outcome
from llmops_operator.cluster.client import Client
from llmops_operator.cluster.errors import TerminalError, TransientError
from llmops_operator.cluster.kinds import Key
from tests.support.apiserver import FakeApi

Document = dict[str, Any]
OWNER = Key("LLMDeployment", "team", "chat")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def applier(client: Client, clock: Clock) -> Applier:
    return Applier(client, clock)


def config_map(value: str = "ours", intent: str = "1", name: str = "chat-sidecars") -> Document:
    metadata = {"name": name, "namespace": "team", "annotations": {names.ANNOTATION_INTENT: intent}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": value}}


def live(api: FakeApi, name: str = "chat-sidecars") -> Document | None:
    return api.find("ConfigMap", "team", name)


def meddle(api: FakeApi) -> Document | None:
    api.edit("ConfigMap", "team", "chat-sidecars", {"data": {"a": "theirs"}})
    return live(api)


async def test_created_then_configured_then_unchanged(api: FakeApi, applier: Applier) -> None:
    first = await applier.apply(OWNER, config_map(), None)
    assert (first.outcome, str(first)) == (Outcome.CREATED, "ConfigMap chat-sidecars created")
    assert first.live == live(api)
    changed = await applier.apply(OWNER, config_map("new", intent="2"), live(api))
    assert (changed.outcome, (live(api) or {})["data"]) == (Outcome.CONFIGURED, {"a": "new"})


async def test_what_is_there_already_is_unchanged_for_a_new_process(api: FakeApi, client: Client, clock: Clock) -> None:
    await Applier(client, clock).apply(OWNER, config_map(), None)
    again = await Applier(client, clock).apply(OWNER, config_map(), live(api))
    assert again.outcome is Outcome.UNCHANGED


async def test_the_same_intent_is_not_applied_twice_to_what_the_server_made_of_it(
    api: FakeApi, applier: Applier, caplog: pytest.LogCaptureFixture
) -> None:
    await applier.apply(OWNER, config_map(), None)
    for _ in range(3):
        assert (await applier.apply(OWNER, config_map(), live(api))).outcome is Outcome.UNCHANGED
    assert len(api.writes()) == 1
    assert caplog.text.count("does not keep ConfigMap chat-sidecars as applied") == 1
    meddle(api)
    assert (await applier.apply(OWNER, config_map(), live(api))).outcome is Outcome.CONFIGURED


async def test_two_repairs_at_once_and_then_one_each_five_seconds(api: FakeApi, applier: Applier, clock: Clock) -> None:
    await applier.apply(OWNER, config_map(), None)
    outcomes = [(await applier.apply(OWNER, config_map(), meddle(api))).outcome for _ in range(4)]
    assert outcomes == [Outcome.CONFIGURED, Outcome.CONFIGURED, Outcome.POSTPONED, Outcome.POSTPONED]
    clock.now += 1
    waiting = await applier.apply(OWNER, config_map(), live(api))
    assert waiting.again == pytest.approx(REPAIR_SECONDS - 1)
    clock.now += REPAIR_SECONDS - 1
    assert (await applier.apply(OWNER, config_map(), live(api))).outcome is Outcome.CONFIGURED
    assert (await applier.apply(OWNER, config_map(), meddle(api))).outcome is Outcome.POSTPONED


async def test_a_long_war_is_one_write_each_five_seconds(api: FakeApi, applier: Applier, clock: Clock) -> None:
    await applier.apply(OWNER, config_map(), None)
    before = len(api.writes())
    for _ in range(100):
        clock.now += 1
        await applier.apply(OWNER, config_map(), meddle(api))
    assert len(api.writes()) - before <= 100 / REPAIR_SECONDS + 2


async def test_a_new_intent_never_waits(api: FakeApi, applier: Applier) -> None:
    await applier.apply(OWNER, config_map(), None)
    for _ in range(3):
        await applier.apply(OWNER, config_map(), meddle(api))
    changed = await applier.apply(OWNER, config_map("new", intent="2"), live(api))
    assert changed.outcome is Outcome.CONFIGURED


async def test_an_object_that_was_replaced_meanwhile_is_not_touched(api: FakeApi, applier: Applier) -> None:
    await applier.apply(OWNER, config_map(), None)
    seen = live(api)
    api.remove("ConfigMap", "team", "chat-sidecars")
    api.put(config_map("another's"))
    with pytest.raises(TransientError, match="409"):
        await applier.apply(OWNER, config_map("new", intent="2"), seen)
    assert (live(api) or {})["data"] == {"a": "another's"}


async def test_a_failed_write_is_no_memory(api: FakeApi, applier: Applier) -> None:
    api.fail(status=422, times=1)
    with pytest.raises(TerminalError):
        await applier.apply(OWNER, config_map(), None)
    assert (await applier.apply(OWNER, config_map(), None)).outcome is Outcome.CREATED


async def test_a_forgotten_owner_starts_afresh(api: FakeApi, applier: Applier) -> None:
    await applier.apply(OWNER, config_map(), None)
    applier.forget(OWNER)
    applier.forget(OWNER)
    assert (await applier.apply(OWNER, config_map(), live(api))).outcome is Outcome.UNCHANGED
    assert len(api.writes()) == 2


async def test_a_pod_is_annotated_and_one_that_is_gone_or_another_is_left(api: FakeApi, applier: Applier) -> None:
    metadata = {"name": "p", "namespace": "team", "annotations": {"theirs": "x"}}
    pod = api.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})
    await applier.nudge("team", "p", pod["metadata"]["uid"], {"a": "b"})
    await applier.nudge("team", "p", "another", {"a": "c"})
    await applier.nudge("team", "gone", "x", {"a": "c"})
    assert (api.find("Pod", "team", "p") or {})["metadata"]["annotations"] == {"theirs": "x", "a": "b"}
    api.fail(status=500)
    with pytest.raises(TransientError):
        await applier.nudge("team", "p", pod["metadata"]["uid"], {"a": "d"})


async def test_prune_deletes_exactly_what_was_seen(api: FakeApi, applier: Applier) -> None:
    seen = api.put(config_map())
    assert (await applier.prune(seen)).outcome is Outcome.DELETED
    assert live(api) is None
    api.put(config_map())
    with pytest.raises(TransientError, match="409"):
        await applier.prune(seen)
    assert live(api) is not None
