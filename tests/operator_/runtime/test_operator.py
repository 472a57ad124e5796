"""The main job of the control plane, end to end at the wire."""

from __future__ import annotations

import asyncio

import pytest

from llmops_operator import names
from llmops_operator.settings import Settings
from tests.operator_.runtime.running import (
    CHILDREN,
    NAMESPACE,
    at_rest,
    condition,
    deployment,
    missing,
    own,
    quiet,
    running,
    settled,
    template,
)
from tests.support.apiserver import FakeApi, until

BRIEF = {"role": "user", "content": "Be brief."}


async def test_children_come_and_then_nothing_is_written(api: FakeApi) -> None:
    api.put(deployment())
    async with running(api):
        await settled(api)
        await until(lambda: condition(api, "Ready"), "a condition")
        await at_rest(api)
        assert await quiet(api) == []
        api.edit("LLMDeployment", NAMESPACE, "chat", {"metadata": {"annotations": {"team.example/touch": "1"}}})
        assert await quiet(api) == []
    writers = {(one.manager, one.who) for one in api.writes()}
    assert writers == {(names.CHILD_MANAGER, "one"), (names.STATUS_MANAGER, "one")}


@pytest.mark.parametrize(
    ("kind", "name", "change", "field"),
    [
        ("ConfigMap", "chat-sidecars", {"data": {"contract.json": "{}"}}, "data"),
        ("Deployment", "chat", {"spec": {"replicas": 7}}, "spec"),
        ("Service", "chat", {"spec": {"selector": {"app.kubernetes.io/instance": "x"}}}, "spec"),
        ("ServiceAccount", "chat", {"automountServiceAccountToken": True}, "automountServiceAccountToken"),
    ],
    ids=["ConfigMap", "Deployment", "Service", "ServiceAccount"],
)
async def test_an_edited_child_is_put_back_and_the_fields_of_others_stay(
    api: FakeApi, kind: str, name: str, change: dict[str, object], field: str
) -> None:
    api.put(deployment())
    async with running(api):
        await settled(api)
        before = api.find(kind, NAMESPACE, name)
        assert before is not None
        theirs = {"metadata": {"annotations": {"team.example/owner": "us"}}}
        api.edit(kind, NAMESPACE, name, {**change, **theirs})
        await until(lambda: (api.find(kind, NAMESPACE, name) or {})[field] == before[field], "put back", 5)
        assert (api.find(kind, NAMESPACE, name) or {})["metadata"]["annotations"]["team.example/owner"] == "us"


@pytest.mark.parametrize(("kind", "name"), CHILDREN, ids=[kind for kind, _ in CHILDREN])
async def test_a_deleted_child_is_made_again(api: FakeApi, kind: str, name: str) -> None:
    api.put(deployment())
    async with running(api):
        await settled(api)
        api.remove(kind, NAMESPACE, name)
        await until(lambda: not missing(api), "made again", 5)


async def test_a_changed_template_reaches_all_that_use_it(api: FakeApi) -> None:
    api.put(template())
    uses = {"prompts": {"templates": [{"name": "support"}]}}
    api.put(deployment("chat", **uses))
    api.put(deployment("second", **uses))
    api.put(deployment("other"))
    async with running(api):
        for name in ("chat", "second", "other"):
            await until(lambda name=name: condition(api, "Ready", name), f"{name} has a status")  # type: ignore[misc]
        before = len(api.log)
        api.edit("PromptTemplate", NAMESPACE, "support", {"spec": template("In short: {{ question }}")["spec"]})
        for name in ("chat-sidecars", "second-sidecars"):
            await until(lambda name=name: "In short" in str(api.find("ConfigMap", NAMESPACE, name)), f"{name} follows")  # type: ignore[misc]
        assert not [one for one in api.writes(since=before) if one.path.endswith("/other-sidecars")]


async def test_a_changed_include_reaches_all_that_use_it_and_a_missing_one_nobody(api: FakeApi) -> None:
    rules, uses = template("Be kind.", "rules"), template()
    rules["spec"].pop("variables")
    uses["spec"]["includes"] = [{"name": "rules"}]
    for one in (rules, uses, deployment(prompts={"templates": [{"name": "support"}]})):
        api.put(one)

    def served(text: str) -> bool:
        return text in str(api.find("ConfigMap", NAMESPACE, "chat-sidecars"))

    def reason() -> bool:
        return (condition(api, "Ready", "chat") or {}).get("reason") == "TemplateNotFound"

    async with running(api):
        await until(lambda: served("Be kind."), "it is included")
        api.edit("PromptTemplate", NAMESPACE, "rules", {"spec": rules["spec"] | {"messages": [BRIEF]}})
        await until(lambda: served("Be brief."), "it follows")
        api.remove("PromptTemplate", NAMESPACE, "rules")
        await until(reason, "a hold")
        stalled = await until(lambda: condition(api, "Stalled", "support", "PromptTemplate"), "the template says so")
        assert "create the PromptTemplate rules" in stalled["message"]
        assert served("Be brief.")


async def test_a_missing_template_holds_and_its_arrival_frees(api: FakeApi) -> None:
    api.put(deployment(prompts={"templates": [{"name": "support"}]}))
    async with running(api):
        held = await until(lambda: condition(api, "Reconciling"), "a hold")
        assert held["reason"] == "TemplateNotFound"
        assert missing(api) == CHILDREN
        api.put(template())
        await settled(api)
        ready = await until(lambda: condition(api, "Ready", "support", "PromptTemplate"), "the template's status")
        assert ready["status"] == "True"


async def test_a_broken_spec_is_stalled_and_touches_nothing(api: FakeApi) -> None:
    api.put(deployment())
    async with running(api):
        await settled(api)
        await at_rest(api)
        before = len(api.log)
        api.edit("LLMDeployment", NAMESPACE, "chat", {"spec": {"replicas": "many"}})
        stalled = await until(lambda: condition(api, "Stalled"), "stalled")
        assert "spec.replicas" in stalled["message"]
        assert {one.manager for one in api.writes(since=before)} == {names.STATUS_MANAGER}


async def test_a_poison_object_is_nobody_elses_problem(api: FakeApi) -> None:
    poison = own("LLMDeployment", "poison", {})
    poison["spec"] = ["not", "a", "map"]
    poison["status"] = {"conditions": "nonsense"}
    api.put(poison)
    api.put(deployment())
    async with running(api):
        await settled(api)
        assert not missing(api)


async def test_deletion_takes_everything_and_is_never_fought(api: FakeApi) -> None:
    api.put(deployment())
    async with running(api):
        await settled(api)
        await at_rest(api)
        before = len(api.log)
        api.remove("LLMDeployment", NAMESPACE, "chat")
        assert await quiet(api) == []
        assert missing(api) == CHILDREN
        assert api.writes(since=before) == []


async def test_only_the_named_namespaces_are_watched(api: FakeApi) -> None:
    api.put(deployment())
    elsewhere = deployment()
    elsewhere["metadata"]["namespace"] = "team-b"
    api.put(elsewhere)
    async with running(api, settings=Settings(namespaces=(NAMESPACE,))):
        await settled(api)
        await at_rest(api)
    assert api.find("Deployment", "team-b", "chat") is None
    listed = {one.path for one in api.log if one.method == "GET" and "llmdeployments" in one.path}
    assert not [path for path in listed if f"/namespaces/{NAMESPACE}/" not in path]


async def test_it_waits_for_the_crds(api: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    api.hidden_groups.add(names.GROUP)
    async with running(api):
        await until(lambda: "install the chart llmops-crds" in caplog.text, "a clear line")
        assert {one.path for one in api.log} == {f"/apis/{names.API_VERSION}"}
        api.put(deployment())
        api.hidden_groups.clear()
        await settled(api)


async def test_secrets_are_never_asked_for_and_specs_never_written(api: FakeApi) -> None:
    external = {"url": "https://api.example/v1", "model": "m", "credentialsSecretRef": {"name": "provider", "key": "k"}}
    api.put(own("LLMDeployment", "chat", {"model": {"name": "m"}, "engine": {"external": external}}))
    async with running(api):
        await settled(api)
        await asyncio.sleep(0)
    assert not [one for one in api.log if "/secrets" in one.path]
    own_writes = [one.path for one in api.writes() if "llmops.dev" in one.path]
    assert own_writes
    assert all(path.endswith("/status") for path in own_writes)
