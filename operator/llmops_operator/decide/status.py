"""Whole statuses, ready to be written: `report` compares them with what stands there and writes on a difference."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from llmops_operator import names
from llmops_operator.api import GuardPolicySpec, PromptTemplateSpec
from llmops_operator.decide.checks import template_problem
from llmops_operator.decide.conditions import READY, STALLED, Condition, as_documents, conditions
from llmops_operator.decide.values import Hold, Plan
from llmops_operator.desired import revision
from llmops_operator.world import Invalid, Resource, Spec, World

Document = dict[str, Any]


def deployment_status(world: World, plan: Plan, failure: Hold | None = None) -> Document:
    """The status of an LLMDeployment; `failure` is what went wrong when the plan was carried out.

    With a hold, revision and configuration stay what they were: the running pods are untouched.
    """
    metadata, previous = world.deployment.metadata, world.deployment.status
    live = (world.child("Deployment", names.child(metadata.name)) or {}).get("status", {})
    found = conditions(world, plan, failure)
    return {
        "observedGeneration": metadata.generation,
        "replicas": live.get("replicas", 0),
        "readyReplicas": live.get("readyReplicas", 0),
        "selector": ",".join(f"{key}={value}" for key, value in names.selector(metadata.name).items()),
        "url": _url(world),
        "revision": plan.revision or previous.get("revision", ""),
        "configuration": plan.configuration or previous.get("configuration", ""),
        "conditions": as_documents(found, previous.get("conditions") or (), metadata.generation, world.now),
    }


def _url(world: World) -> str:
    """Where clients reach it; with a spec that cannot be read, where they did before."""
    metadata, spec = world.deployment.metadata, world.deployment.spec
    if isinstance(spec, Invalid):
        return str(world.deployment.status.get("url", ""))
    return names.service_url(metadata.name, metadata.namespace, tls=bool(spec.access and spec.access.tls))


def template_status(template: Resource[PromptTemplateSpec], now: datetime) -> Document:
    """The status of a PromptTemplate."""
    return _content_status(template, template_problem, now)


def policy_status(policy: Resource[GuardPolicySpec], now: datetime) -> Document:
    """The status of a GuardPolicy."""
    return _content_status(policy, lambda _: None, now)


def _content_status(resource: Resource[Spec], find: Callable[[Spec], str | None], now: datetime) -> Document:
    """Ready with the version of the content, or Stalled with what is wrong and no version."""
    problem = resource.spec.reason if isinstance(resource.spec, Invalid) else find(resource.spec)
    version = "" if problem is not None else _version(resource.spec)
    generation, previous = resource.metadata.generation, resource.status.get("conditions") or ()
    return {
        "observedGeneration": generation,
        "version": version,
        "conditions": as_documents(_content_conditions(problem), previous, generation, now),
    }


def _version(spec: BaseModel | Invalid) -> str:
    return revision.version(spec) if isinstance(spec, BaseModel) else ""


def _content_conditions(problem: str | None) -> tuple[Condition, ...]:
    if problem is None:
        return (Condition(READY, "True", "Valid", "it can be used"),)
    message = f"correct the spec: {problem}"
    return (Condition(READY, "False", "Invalid", message), Condition(STALLED, "True", "Invalid", message))
