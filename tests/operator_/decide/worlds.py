"""Worlds for tests: a small one, and what a cluster makes of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from llmops_operator import names
from llmops_operator.api import GuardPolicySpec, LLMDeploymentSpec, PromptTemplateSpec
from llmops_operator.decide.plan import plan
from llmops_operator.decide.status import deployment_status
from llmops_operator.settings import Settings
from llmops_operator.world import Container, Pod, Report, World, resource

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UID = "11111111-2222-3333-4444-555555555555"
Document = dict[str, Any]

CPU: Document = {"model": {"name": "support-chat"}, "engine": {"modelRepository": {"image": "triton-cpu:1"}}}
GPU: Document = {
    "model": {"name": "llama", "source": {"volume": {"claimName": "models", "path": "llama"}}},
    "resources": {"gpus": 1},
}
EXTERNAL: Document = {
    "model": {"name": "assistant"},
    "engine": {"external": {"url": "https://api.example/v1", "model": "gpt-x"}},
}
BENCHMARK: Document = {"model": {"name": "none"}, "engine": {"benchmark": {}}}
HUB: Document = {
    "model": {"name": "llama", "source": {"huggingFace": {"repository": "a/b", "revision": "0" * 40}}},
    "resources": {"gpus": 1},
}
TEMPLATE: Document = {
    "messages": [{"role": "user", "content": "{{ question }}"}],
    "variables": [{"name": "question", "required": True}],
}
POLICY: Document = {"input": [{"secrets": {}}]}
LISTED: Document = {"input": [{"phrases": {"configMapRef": {"name": "lists", "key": "words"}}}]}
USES_BOTH: Document = {"prompts": {"templates": [{"name": "support"}]}, "guard": {"policyRef": {"name": "strict"}}}


def kind(name: str, spec: object, **metadata: Any) -> Document:
    """An object of our own kinds as the API server gives it."""
    return {"metadata": {"name": name, "namespace": "team-a", "uid": UID, "generation": 1, **metadata}, "spec": spec}


def world(
    spec: object = CPU,
    *,
    templates: Mapping[str, object] | None = None,
    policies: Mapping[str, object] | None = None,
    lists: Mapping[str, Mapping[str, str]] | None = None,
    settings: Settings | None = None,
    **metadata: Any,
) -> World:
    """A world in which nothing has been applied yet; specs are given as users write them."""
    return World(
        now=NOW,
        settings=settings or Settings(),
        deployment=resource(kind("chat", spec, **metadata), LLMDeploymentSpec),
        templates={name: resource(kind(name, one), PromptTemplateSpec) for name, one in (templates or {}).items()},
        policies={name: resource(kind(name, one), GuardPolicySpec) for name, one in (policies or {}).items()},
        lists=lists or {},
    )


def with_children(before: World, *changes: Document) -> World:
    """The world after its plan was applied; `changes` are further live objects, instead of those of the same name."""
    live = {_key(one.document): _stored(one.document) for one in plan(before).children}
    live |= {_key(one): one for one in changes}
    return replace(before, children=tuple(live.values()))


def rolled_out(before: World) -> World:
    """The world when the Deployment of `with_children` has its pods, and they are ready and report."""
    after = with_children(before)
    workload = deepcopy(after.child("Deployment", "chat"))
    assert isinstance(workload, dict)
    count = workload["spec"]["replicas"]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), count)
    workload["status"] = {"observedGeneration": 1, **counts}
    report = Report(plan(after).configuration, None, plan(after).configuration)
    pods = tuple(pod(f"chat-{number}") for number in range(count))
    children = tuple(workload if one["kind"] == "Deployment" else one for one in after.children)
    return replace(after, children=children, pods=pods, guards={one.name: report for one in pods})


def reported(before: World) -> World:
    """The world with its status written."""
    status = deployment_status(before, plan(before))
    return replace(before, deployment=replace(before.deployment, status=status))


def pod(name: str, *containers: Container, **changes: Any) -> Pod:
    """A ready pod, five minutes old."""
    old = Pod(name, f"uid-{name}", "10.0.0.7", ready=True, terminating=False, created=NOW - timedelta(minutes=5))
    return replace(old, containers=containers, **changes)


def waiting_pod(name: str, *containers: Container, **changes: Any) -> Pod:
    """A pod that is not ready."""
    return replace(pod(name, *containers, **changes), ready=False)


def foreign(api_kind: str, name: str, **metadata: Any) -> Document:
    """Somebody else's object."""
    return {"apiVersion": "v1", "kind": api_kind, "metadata": {"name": name, "namespace": "team-a", **metadata}}


def _key(document: Document) -> tuple[str, str]:
    return document["kind"], document["metadata"]["name"]


def _stored(document: Document) -> Document:
    """As the API server stores it: with its own metadata, and a default that nobody applied."""
    stored = deepcopy(document)
    stored["metadata"] |= {"uid": f"uid-{document['kind']}", "resourceVersion": "7", "generation": 1}
    if stored["kind"] == "Service":
        stored["spec"]["sessionAffinity"] = "None"
    return stored


def owner(uid: str = UID, name: str = "chat") -> list[Document]:
    """An owner reference as our children have it."""
    return [
        {"apiVersion": names.API_VERSION, "kind": names.LLM_DEPLOYMENT, "name": name, "uid": uid, "controller": True}
    ]
