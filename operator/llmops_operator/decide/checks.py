"""Reasons not to touch anything: an ordered list of small checks, of which the first that finds something counts.

What one object can say about itself is in its schema and its model (`api`); here stands what needs other objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from llmops_operator import names
from llmops_operator.api import GuardPolicySpec, LLMDeploymentSpec
from llmops_operator.decide.templates import template_problem
from llmops_operator.decide.values import Hold
from llmops_operator.desired import judging, paths
from llmops_operator.desired.policy import lists_of
from llmops_operator.world import Document, Invalid, Lists, World, controller, lost_by_us, owned_by
from llmops_sidecars.contract import phrases_of

SPEC_INVALID, DELETING = "SpecInvalid", "Deleting"
TEMPLATE_NOT_FOUND, TEMPLATE_INVALID = "TemplateNotFound", "TemplateInvalid"
POLICY_NOT_FOUND, POLICY_INVALID = "PolicyNotFound", "PolicyInvalid"
LIST_NOT_FOUND, LIST_INVALID = "ListNotFound", "ListInvalid"
NAME_TAKEN, PREDECESSOR_LEAVING = "NameTaken", "PredecessorLeaving"
CONFIGURATION_TOO_LARGE = "ConfigurationTooLarge"

CONFIG_MAP_BYTES = 1024 * 1024
"""What the API server takes as the data of a ConfigMap."""

SpecCheck = Callable[[World, LLMDeploymentSpec], Hold | None]
ChildCheck = Callable[[World, Sequence[Document]], Hold | None]


def first_hold(world: World) -> Hold | None:
    """What is wrong with the spec or with what it names."""
    if world.deployment.metadata.deleting:
        return Hold(DELETING, "it is being deleted; its children go with it", terminal=False)
    spec = world.deployment.spec
    if isinstance(spec, Invalid):
        return Hold(SPEC_INVALID, f"correct the spec: {spec.reason}", terminal=True)
    return next((hold for check in SPEC_CHECKS if (hold := check(world, spec))), None)


def first_child_hold(world: World, children: Sequence[Document]) -> Hold | None:
    """What keeps these children from being applied."""
    return next((hold for check in CHILD_CHECKS if (hold := check(world, children))), None)


def _templates_exist(world: World, spec: LLMDeploymentSpec) -> Hold | None:
    return _missing(names.PROMPT_TEMPLATE, TEMPLATE_NOT_FOUND, _template_names(spec), world.templates)


def _templates_work(world: World, spec: LLMDeploymentSpec) -> Hold | None:
    for name in _template_names(spec):
        problem = template_problem(name, world.templates)
        if problem is not None:
            reason = TEMPLATE_NOT_FOUND if problem.missing else TEMPLATE_INVALID
            message = f"correct {names.PROMPT_TEMPLATE} {name}: {problem.message}"
            return Hold(reason, message, terminal=not problem.missing)
    return None


def _policy_exists(world: World, spec: LLMDeploymentSpec) -> Hold | None:
    wanted = (spec.guard.policy_ref.name,) if spec.guard else ()
    return _missing(names.GUARD_POLICY, POLICY_NOT_FOUND, wanted, world.policies)


def _policy_works(world: World, spec: LLMDeploymentSpec) -> Hold | None:
    if spec.guard is None:
        return None
    name = spec.guard.policy_ref.name
    policy = world.policies[name].spec
    if not isinstance(policy, Invalid):
        return None
    return Hold(POLICY_INVALID, f"correct {names.GUARD_POLICY} {name}: {policy.reason}", terminal=True)


def list_problem(spec: GuardPolicySpec, lists: Lists) -> Hold | None:
    """What is wrong with the lists that a policy names."""
    for name, key in lists_of(spec):
        text = lists.get(name, {}).get(key)
        if text is None:
            return Hold(
                LIST_NOT_FOUND, f"create the ConfigMap {name} with the key {key} in this namespace", terminal=False
            )
        try:
            phrases_of(text)
        except ValueError as error:
            return Hold(LIST_INVALID, f"correct the key {key} of ConfigMap {name}: {error}", terminal=True)
    return None


def _lists_work(world: World, spec: LLMDeploymentSpec) -> Hold | None:
    policy = world.policies[spec.guard.policy_ref.name].spec if spec.guard else None
    return list_problem(policy, world.lists) if isinstance(policy, GuardPolicySpec) else None


def _policy_fits(world: World, spec: LLMDeploymentSpec) -> Hold | None:
    policy = world.policies[spec.guard.policy_ref.name] if spec.guard else None
    if policy is None or isinstance(policy.spec, Invalid):
        return None
    problem = _uncountable(policy.spec, spec) or _outside(policy.spec, world.deployment.metadata.namespace)
    if problem is None:
        return None
    message = f"{names.GUARD_POLICY} {policy.metadata.name} cannot be used here: {problem}"
    return Hold(POLICY_INVALID, message, terminal=True)


def _uncountable(policy: GuardPolicySpec, spec: LLMDeploymentSpec) -> str | None:
    if not judging.counts_tokens(policy) or spec.model.source is not None:
        return None
    return "limits.tokens needs model.source, with a tokenizer.json in it; give one, or limit characters instead"


def _outside(policy: GuardPolicySpec, namespace: str) -> str | None:
    """What is sent without TLS stays in the namespace: its network and its Services are the policy's author's own."""
    for webhook in judging.webhooks(policy):
        parts = urlsplit(webhook.url)
        labels = (parts.hostname or "").split(".")
        own = [namespace, "svc", "cluster", "local"]
        if parts.scheme == "http" and labels[1:] not in ([], own[:1], own[:2], own):
            return f"webhook {webhook.url}: http is for Services of this namespace; use https, or NAME.{namespace}.svc"
    return None


def _names_are_free(world: World, children: Sequence[Document]) -> Hold | None:
    found = (world.child(one["kind"], one["metadata"]["name"]) for one in children)
    return next((hold for live in found if live is not None and (hold := _foreign(world, live))), None)


def _configuration_fits(_: World, children: Sequence[Document]) -> Hold | None:
    largest = max((sum(len(text.encode()) for text in data.values()) for data in _configurations(children)), default=0)
    if largest <= CONFIG_MAP_BYTES:
        return None
    message = f"templates, policy and lists take {largest} bytes, a ConfigMap holds {CONFIG_MAP_BYTES}: use fewer"
    return Hold(CONFIGURATION_TOO_LARGE, message, terminal=True)


SPEC_CHECKS: tuple[SpecCheck, ...] = (
    _templates_exist,  # a template that is named and not there
    _templates_work,  # a template that no request could use
    _policy_exists,  # a policy that is named and not there
    _policy_works,  # a policy that the guard could not run
    _policy_fits,  # a policy that asks for what this deployment has not
    _lists_work,  # lists of phrases that are not there, or that it could not read
)

CHILD_CHECKS: tuple[ChildCheck, ...] = (
    _configuration_fits,  # what no ConfigMap can hold
    _names_are_free,  # somebody else's object where ours would be
)


def _template_names(spec: LLMDeploymentSpec) -> tuple[str, ...]:
    return tuple(reference.name for reference in spec.prompts.templates) if spec.prompts else ()


def _missing(kind: str, reason: str, wanted: Sequence[str], found: Mapping[str, Any]) -> Hold | None:
    """References come and go in any order when a folder is applied, so a missing one is waited for."""
    absent = [name for name in wanted if name not in found]
    if not absent:
        return None
    message = f"create the {kind} {', '.join(absent)} in this namespace, or take it out of the spec"
    return Hold(reason, message, terminal=False)


def _foreign(world: World, live: Document) -> Hold | None:
    deployment = world.deployment.metadata
    if owned_by(live, deployment.uid) or lost_by_us(live, deployment.name):
        return None
    what = f"{live['kind']} {live['metadata']['name']}"
    owner = controller(live)
    if owner is not None and (owner.get("kind"), owner.get("name")) == (names.LLM_DEPLOYMENT, deployment.name):
        message = f"{what} belongs to a deleted LLMDeployment of this name and will be gone in a moment"
        return Hold(PREDECESSOR_LEAVING, message, terminal=False)
    message = f"{what} exists and is not ours: delete or rename it, or give this LLMDeployment another name"
    return Hold(NAME_TAKEN, message, terminal=True)


def _configurations(children: Sequence[Document]) -> Iterator[Mapping[str, str]]:
    return (child["data"] for child in children if paths.CONTRACT_KEY in child.get("data", {}))
