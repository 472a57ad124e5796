"""One pass's plan: `plan(world)` looks at what is and says all that should be done, with a reason for each step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from llmops_operator import names
from llmops_operator.api import GuardPolicySpec, LLMDeploymentSpec, PromptTemplateSpec
from llmops_operator.decide import access, checks, reports, shared
from llmops_operator.decide.drift import needs_apply
from llmops_operator.decide.templates import readable
from llmops_operator.decide.times import since
from llmops_operator.decide.values import Child, Hold, Nudge, Plan, Prune
from llmops_operator.desired import children, contract, paths, platform, policy, revision
from llmops_operator.desired.facts import Facts, Policy
from llmops_operator.desired.objects import Document
from llmops_operator.desired.templates import resolved
from llmops_operator.world import Invalid, Resource, Spec, World, owned_by
from llmops_sidecars.contract import digest

ASK_AGAIN = timedelta(seconds=0.5)
"""Nothing tells when a sidecar has read its new configuration, so it is asked; it takes about half a second."""

ASK_RARELY = timedelta(seconds=10)
PATIENCE = timedelta(minutes=1)
"""A kubelet that was not told looks after a minute; what takes longer is no longer asked every half second."""

FOLLOW = timedelta(seconds=30)
"""ConfigMaps of users are not watched: there are too many of them, and a watch would send each one whole."""

LOOK_AGAIN = {
    checks.NAME_TAKEN: timedelta(seconds=30),
    checks.PREDECESSOR_LEAVING: timedelta(seconds=2),
    checks.LIST_NOT_FOUND: timedelta(seconds=10),
    checks.LIST_INVALID: FOLLOW,
}
"""Holds that end without an event for us: others' objects are not watched."""


def plan(world: World) -> Plan:
    """What to do now. With a hold nothing is applied, nothing pruned, and running pods stay as they are."""
    hold = checks.first_hold(world)
    if hold is not None:
        return _held(hold)
    facts = gather(world)
    documents = children.children(facts)
    hold = checks.first_child_hold(world, documents)
    return _held(hold) if hold is not None else _plan(world, facts, documents)


def gather(world: World) -> Facts:
    """The facts for the builders; only for a world without a hold."""
    deployment = world.deployment
    spec = _read(deployment)
    guarding = _policy(world, spec)
    live = world.child("Deployment", names.child(deployment.metadata.name))
    return Facts(
        name=deployment.metadata.name,
        namespace=deployment.metadata.namespace,
        uid=deployment.metadata.uid,
        spec=spec,
        platform=platform.kept(live, revision.engine_digest(spec, guarding), platform.chosen(world.settings)),
        settings=world.settings,
        templates=_templates(world, spec),
        policy=guarding,
    )


def configuration_digest(documents: Sequence[Document]) -> str:
    """The digest that every guard must report: that of the contract among the children."""
    found = (one["data"][paths.CONTRACT_KEY] for one in documents if paths.CONTRACT_KEY in one.get("data", {}))
    return digest(next(found).encode())


def _held(hold: Hold) -> Plan:
    return Plan(hold=hold, requeue_after=LOOK_AGAIN.get(hold.reason))


def _plan(world: World, facts: Facts, documents: Sequence[Document]) -> Plan:
    wanted = configuration_digest(documents)
    return Plan(
        children=tuple(_child(world, document) for document in documents),
        nudges=tuple(_nudges(world, wanted)),
        prune=tuple(_prune(world, documents)),
        configuration=wanted,
        engine=revision.engine_digest(facts.spec, facts.policy),
        revision=contract.revision_of(facts),
        requeue_after=_soonest(_ask_again(world, wanted), FOLLOW if facts.policy and facts.policy.lists else None),
    )


def _child(world: World, document: Document) -> Child:
    live = world.child(document["kind"], document["metadata"]["name"])
    return Child(document, needs_apply(live, document))


def _nudges(world: World, wanted: str) -> Iterator[Nudge]:
    for pod in world.pods:
        told = pod.annotations.get(names.ANNOTATION_CONFIGURATION) == wanted
        if not told and reports.needs_nudge(world, pod, wanted):
            annotations = {names.ANNOTATION_CONFIGURATION: wanted}
            yield Nudge(pod.name, pod.uid, annotations, "its configuration changed")


def _prune(world: World, documents: Sequence[Document]) -> Iterator[Prune]:
    planned = {(one["kind"], one["metadata"]["name"]) for one in documents}
    for live in world.children:
        unplanned = (live["kind"], live["metadata"]["name"]) not in planned
        leaving = "deletionTimestamp" in live["metadata"]
        if unplanned and not leaving and owned_by(live, world.deployment.metadata.uid):
            yield Prune(live, "it is no longer wanted")


def _ask_again(world: World, wanted: str) -> timedelta | None:
    found = reports.verdict(world, wanted)
    if found.refused or found.silent:
        return ASK_RARELY
    if not found.behind:
        return ASK_RARELY if _access_may_change(world) or shared.problem(world) is not None else None
    waiting = since(world.deployment.status, "ConfigurationCurrent", "False", world.now)
    return ASK_AGAIN if waiting < PATIENCE else ASK_RARELY


def _access_may_change(world: World) -> bool:
    """Whether guards have to be asked again about their access: no event tells of a Secret or an issuer.

    One that lacks something is asked until it does not; one that runs and is not ready may not have said it yet.
    """
    waiting = any(pod.guard_runs and not pod.ready for pod in world.pods)
    return access.problem(world, world.pods) is not None or (waiting and not access.is_open(world))


def _soonest(*times: timedelta | None) -> timedelta | None:
    return min((one for one in times if one is not None), default=None)


def _templates(world: World, spec: LLMDeploymentSpec) -> dict[str, PromptTemplateSpec]:
    wanted, specs = spec.prompts.templates if spec.prompts else [], readable(world.templates)
    return {one.name: resolved(one.name, specs) for one in wanted}


def _policy(world: World, spec: LLMDeploymentSpec) -> Policy | None:
    if spec.guard is None:
        return None
    name = spec.guard.policy_ref.name
    found: Resource[GuardPolicySpec] = world.policies[name]
    read = _read(found)
    return Policy(name, read, {(source, key): world.lists[source][key] for source, key in policy.lists_of(read)})


def _read(resource: Resource[Spec]) -> Spec:
    if isinstance(resource.spec, Invalid):
        raise TypeError(f"{resource.metadata.name}: the checks let an unreadable spec pass")
    return resource.spec
