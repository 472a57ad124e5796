"""Whole statuses, ready to be written: `report` compares them with what stands there and writes on a difference."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from llmops_operator import names
from llmops_operator.api import GuardPolicySpec, PromptTemplateSpec
from llmops_operator.decide.checks import list_problem
from llmops_operator.decide.conditions import READY, STALLED, Condition, as_documents, conditions
from llmops_operator.decide.templates import Templates, readable, template_problem
from llmops_operator.decide.values import Hold, Plan
from llmops_operator.desired import revision
from llmops_operator.desired.facts import Policy
from llmops_operator.desired.policy import lists_of
from llmops_operator.desired.templates import resolved
from llmops_operator.world import Invalid, Lists, Resource, Spec, World

Document = dict[str, Any]

CORRECT = "correct the spec"


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


def template_status(name: str, templates: Templates, now: datetime) -> Document:
    """The status of a PromptTemplate, which is among `templates`, as what it includes is: that is a part of it."""

    def problem(_spec: PromptTemplateSpec) -> str | None:
        found = template_problem(name, templates)
        return None if found is None else f"{CORRECT}: {found.message}"

    def version(_spec: PromptTemplateSpec) -> str:
        return revision.version(resolved(name, readable(templates)))

    return _content_status(templates[name], problem, version, now)


def policy_status(policy: Resource[GuardPolicySpec], lists: Lists, now: datetime) -> Document:
    """The status of a GuardPolicy, whose lists are a part of its content."""

    def problem(spec: GuardPolicySpec) -> str | None:
        hold = list_problem(spec, lists)
        return None if hold is None else hold.message

    def version(spec: GuardPolicySpec) -> str:
        found = {(name, key): lists[name][key] for name, key in lists_of(spec)}
        return revision.policy_version(Policy(policy.metadata.name, spec, found))

    return _content_status(policy, problem, version, now)


def _content_status(
    resource: Resource[Spec], find: Callable[[Spec], str | None], versioned: Callable[[Spec], str], now: datetime
) -> Document:
    """Ready with the version of the content, or Stalled with what is wrong and no version."""
    spec = resource.spec
    problem = f"{CORRECT}: {spec.reason}" if isinstance(spec, Invalid) else find(spec)
    version = "" if problem is not None or isinstance(spec, Invalid) else versioned(spec)
    generation, previous = resource.metadata.generation, resource.status.get("conditions") or ()
    return {
        "observedGeneration": generation,
        "version": version,
        "conditions": as_documents(_content_conditions(problem), previous, generation, now),
    }


def _content_conditions(problem: str | None) -> tuple[Condition, ...]:
    if problem is None:
        return (Condition(READY, "True", "Valid", "it can be used"),)
    return (Condition(READY, "False", "Invalid", problem), Condition(STALLED, "True", "Invalid", problem))
