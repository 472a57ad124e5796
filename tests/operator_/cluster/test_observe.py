from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from llmops_operator import names
from llmops_operator.cluster.client import Client
from llmops_operator.cluster.errors import TransientError
from llmops_operator.cluster.guards import Guards
from llmops_operator.cluster.kinds import CHILDREN
from llmops_operator.cluster.observe import observe
from llmops_operator.settings import Settings
from llmops_operator.world import Invalid, Unreachable
from tests.support.apiserver import FakeApi

Document = dict[str, Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
USES = {"prompts": {"templates": [{"name": "support"}, {"name": "gone"}]}, "guard": {"policyRef": {"name": "strict"}}}


@pytest.fixture
async def guards() -> AsyncIterator[Guards]:
    made = Guards(port=1)
    yield made
    await made.close()


def put(api: FakeApi, kind: str, name: str, namespace: str = "team", **content: Any) -> Document:
    labels = content.pop("labels", {})
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    version = next((one.api_version for one in CHILDREN if one.name == kind), names.API_VERSION)
    return api.put({"apiVersion": version, "kind": kind, "metadata": metadata, **content})


async def test_everything_around_a_deployment_is_read(api: FakeApi, client: Client, guards: Guards) -> None:
    document = put(api, "LLMDeployment", "chat", spec={"model": {"name": "m"}, **USES})
    put(api, "PromptTemplate", "support", spec={"messages": [{"role": "user", "content": "x"}]})
    put(api, "PromptTemplate", "gone", namespace="elsewhere", spec={})
    put(api, "GuardPolicy", "strict", spec={"nonsense": 1})
    ours, others = names.labels("chat"), names.labels("other")
    put(api, "Service", "chat", labels=ours)
    put(api, "ConfigMap", "chat-old", labels=ours)
    put(api, "ConfigMap", "chat-engine")
    put(api, "ConfigMap", "other-sidecars", labels=others)
    put(api, "ConfigMap", "chat-sidecars", namespace="elsewhere", labels=ours)
    ready = {"podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
    put(api, "Pod", "chat-1", labels=ours, status=ready)
    put(api, "Pod", "other-1", labels=others, status=ready)

    world = await observe(client, guards, Settings(), document, NOW)

    assert (world.now, world.deployment.metadata.name) == (NOW, "chat")
    assert list(world.templates) == ["support"]
    assert isinstance(world.policies["strict"].spec, Invalid)
    found = [(one["kind"], one["metadata"]["name"]) for one in world.children]
    assert found == [("ConfigMap", "chat-old"), ("Service", "chat"), ("ConfigMap", "chat-engine")]
    assert [pod.name for pod in world.pods] == ["chat-1"]
    assert isinstance(world.guards["chat-1"], Unreachable)


async def test_what_templates_include_is_read_in_a_circle_too(api: FakeApi, client: Client, guards: Guards) -> None:
    document = put(api, "LLMDeployment", "chat", spec={"prompts": {"templates": [{"name": "a"}]}})
    for name, *included in (("a", "b", "c"), ("b", "c", "gone"), ("c", "a"), ("other",)):
        put(api, "PromptTemplate", name, spec={"includes": [{"name": one} for one in included]})
    put(api, "PromptTemplate", "gone", namespace="elsewhere")
    world = await observe(client, guards, Settings(), document, NOW)
    assert set(world.templates) == {"a", "b", "c"}


async def test_the_lists_of_a_policy_are_read(api: FakeApi, client: Client, guards: Guards) -> None:
    document = put(api, "LLMDeployment", "chat", spec={"guard": {"policyRef": {"name": "strict"}}})
    named = [{"phrases": {"configMapRef": {"name": name, "key": "k"}}} for name in ("words", "names", "gone")]
    put(api, "GuardPolicy", "strict", spec={"input": [*named[:2], {"pii": {}}, "nonsense"], "output": named[1:]})
    put(api, "ConfigMap", "words", data={"k": "zebra"})
    put(api, "ConfigMap", "names")
    put(api, "ConfigMap", "gone", namespace="elsewhere", data={"k": "lion"})
    world = await observe(client, guards, Settings(), document, NOW)
    assert world.lists == {"words": {"k": "zebra"}, "names": {}}


async def test_a_spec_of_any_shape_can_be_observed(api: FakeApi, client: Client, guards: Guards) -> None:
    document = put(api, "LLMDeployment", "chat", spec=["nonsense"])
    world = await observe(client, guards, Settings(), document, NOW)
    assert isinstance(world.deployment.spec, Invalid)


@pytest.mark.parametrize("path", ["/pods", "/services", "/prompttemplates/support"])
async def test_a_part_that_cannot_be_read_is_no_empty_part(
    api: FakeApi, client: Client, guards: Guards, path: str
) -> None:
    document = put(api, "LLMDeployment", "chat", spec={"model": {"name": "m"}, **USES})
    api.fail(status=403, path=path)
    with pytest.raises(TransientError, match="403"):
        await observe(client, guards, Settings(), document, NOW)
