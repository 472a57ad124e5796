"""What goes wrong around the operator: it recovers, it never ends, and there are never two writers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.operator_.runtime.running import (
    NAMESPACE,
    at_rest,
    condition,
    deployment,
    missing,
    quiet,
    running,
    settled,
    template,
)
from tests.support.apiserver import FakeApi, until

RECOVERY_SECONDS = 10.0
EXPIRED = {"type": "ERROR", "object": {"kind": "Status", "code": 410}}


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500, "watch": False},
        {"status": 503, "method": "PATCH"},
        {"status": 403, "path": "/deployments"},
        {"status": 429, "headers": {"Retry-After": "1"}, "times": 5},
        {"drop": True, "watch": False},
        {"drop": True, "commit": True, "method": "PATCH", "times": 6},
        {"status": 409, "method": "PATCH", "path": "/(configmaps|deployments)", "times": 6},
    ],
    ids=["500", "503 on writes", "403", "429", "dropped", "reply lost after commit", "409"],
)
async def test_it_recovers_from_an_api_server_that_fails(api: FakeApi, fault: dict[str, Any]) -> None:
    api.put(deployment())
    broken = api.fail(**fault, who="one")
    async with running(api):
        await until(lambda: broken.seen >= 3 or broken.times == 0, "the fault was met", 20)
        broken.clear()
        await settled(api, RECOVERY_SECONDS)
        await at_rest(api)
        assert await quiet(api) == []
    assert condition(api, "Stalled") is None


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500, "times": 12},
        {"status": 403, "times": 12},
        {"status": 404, "times": 3},
        {"status": 410, "times": 3},
        {"drop": True, "times": 12},
        {"status": 200, "times": 3, "body": {"type": "ERROR", "object": {"kind": "Status", "code": 500}}},
        {"status": 200, "times": 3, "body": EXPIRED},
    ],
    ids=["500", "403", "404", "410", "dropped", "ERROR 500", "ERROR 410"],
)
async def test_it_recovers_from_watches_that_fail(api: FakeApi, fault: dict[str, Any]) -> None:
    api.put(deployment())
    async with running(api):
        await settled(api)
        broken = api.fail(watch=True, **fault)
        api.break_watches()
        await until(lambda: broken.times == 0, "every fault was met", 30)
        api.put(deployment("second"))
        await until(lambda: condition(api, "Ready", "second"), "an event arrives", 20)
        api.remove("Service", NAMESPACE, "chat")
        await until(lambda: not missing(api), "a child's event arrives", 20)


async def test_a_child_that_is_deleted_while_its_watch_lists_again_is_made_again(api: FakeApi) -> None:
    """No event tells of it: the watch goes on from the list, in which the child is no more."""
    api.put(deployment())
    async with running(api):
        await settled(api)
        await at_rest(api)
        api.fail(watch=True, path="^/api/v1/services$", times=1, status=200, body=EXPIRED)
        gone = api.at("GET", "^/api/v1/services$", lambda: api.remove("Service", NAMESPACE, "chat"))
        api.break_watches()
        await until(lambda: gone.over, "the list is read again")
        await until(lambda: not missing(api), "made again", 5)
        await at_rest(api)
        assert await quiet(api, 5) == [], "a resync at rest writes nothing"


async def test_a_template_that_is_deleted_while_its_watch_lists_again_is_missed(api: FakeApi) -> None:
    api.put(template())
    api.put(deployment(prompts={"templates": [{"name": "support"}]}))
    path = "^/apis/llmops.dev/v1alpha1/prompttemplates$"
    async with running(api):
        await settled(api)
        await at_rest(api)
        api.fail(watch=True, path=path, times=1, status=200, body=EXPIRED)
        api.at("GET", path, lambda: api.remove("PromptTemplate", NAMESPACE, "support"))
        api.break_watches()
        held = await until(lambda: reconciling(api, "TemplateNotFound"), "a hold", 8)
        assert "support" in held["message"]


def reconciling(api: FakeApi, reason: str) -> dict[str, Any] | None:
    found = condition(api, "Reconciling")
    return found if found and found["reason"] == reason else None


async def test_a_refused_child_is_stalled_with_the_servers_words(api: FakeApi) -> None:
    api.put(deployment())
    refused = api.fail(status=422, method="PATCH", path="/deployments")
    async with running(api):
        stalled = await until(lambda: condition(api, "Stalled"), "stalled")
        assert stalled["reason"] == "Rejected"
        assert "422" in stalled["message"]
        assert await quiet(api) == []
        refused.clear()
        api.edit("LLMDeployment", NAMESPACE, "chat", {"spec": {"replicas": 2}})
        await settled(api)
        await until(lambda: condition(api, "Stalled") is None, "no longer stalled")


async def test_a_failure_is_reported_while_it_lasts_and_not_after(api: FakeApi) -> None:
    api.put(deployment())
    broken = api.fail(status=403, method="PATCH", path="/deployments")
    async with running(api):
        reconciling = await until(lambda: condition(api, "Reconciling"), "a report")
        assert reconciling["reason"] == "Forbidden"
        broken.clear()
        await settled(api)
        await until(lambda: (condition(api, "Reconciling") or {}).get("reason") != "Forbidden", "the report went")


async def test_two_operators_never_write_both(api: FakeApi) -> None:
    api.put(deployment())
    async with running(api, "one"):
        await settled(api)
        async with running(api, "two"):
            for count in range(3):
                api.edit("Deployment", NAMESPACE, "chat", {"spec": {"replicas": 5 + count}})
                await until(
                    lambda: (api.find("Deployment", NAMESPACE, "chat") or {})["spec"]["replicas"] == 1, "back", 8
                )
    assert {one.who for one in api.writes()} == {"one"}


async def test_the_other_takes_over_when_the_leader_ends(api: FakeApi) -> None:
    api.put(template())
    async with running(api, "two-waits-for-the-lease"):
        pass
    async with running(api, "first") as _, asyncio.timeout(30):
        await until(lambda: condition(api, "Ready", "support", "PromptTemplate"), "the first works")
        second = running(api, "second")
        await second.__aenter__()
    try:
        api.put(deployment())
        await settled(api)
        assert {one.who for one in api.writes() if "deployments" in one.path} == {"second"}
    finally:
        await second.__aexit__(None, None, None)


async def test_the_other_takes_over_when_the_leader_is_cut_off(api: FakeApi) -> None:
    async with running(api, "first"):
        await until(lambda: holder(api) == "first", "the first leads")
        async with running(api, "second"):
            cut = api.fail(who="first", drop=True)
            await until(lambda: holder(api) == "second", "the second leads")
            before = len(api.log)
            api.put(deployment())
            await settled(api)
            cut.clear()
            await at_rest(api)
            assert {one.who for one in api.writes(since=before)} == {"second"}


def holder(api: FakeApi) -> str:
    return str((api.find("Lease", "llmops-system", "llmops-operator") or {"spec": {}})["spec"].get("holderIdentity"))


async def test_a_drift_war_is_fought_slowly(api: FakeApi) -> None:
    api.put(deployment())
    async with running(api):
        await settled(api)
        before = len(api.log)
        for _ in range(30):
            api.edit("Service", NAMESPACE, "chat", {"spec": {"selector": {"app": "theirs"}}})
            await asyncio.sleep(0.05)
        repairs = [one for one in api.writes(since=before) if one.path.endswith("/services/chat")]
        assert 1 <= len(repairs) <= 2
        await until(
            lambda: (api.find("Service", NAMESPACE, "chat") or {})["spec"]["selector"] != {"app": "theirs"}, "ours", 8
        )
