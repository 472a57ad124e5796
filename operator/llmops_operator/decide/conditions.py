"""The conditions of an LLMDeployment, as kstatus reads them.

Ready                  always: whether all wanted pods serve what the spec says
ConfigurationCurrent   while pods are ready: whether their sidecars run the wanted configuration
Reconciling            only while True: work is under way, or will be tried again by itself
Stalled                only while True: a person has to act; never together with Reconciling
TemplateInvalid, PolicyInvalid   only while True: which of the referenced objects must be corrected
Benchmark              only while True: what is served is made-up text, and no model
AccessOpen             only while True: everybody who reaches the Service may ask
AccessInvalid          only while True: keys, certificates or the issuer are not as they should be
SharedCacheUnavailable only while True: pods do without the store that they should share answers through
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from llmops_operator import names
from llmops_operator.decide import access, checks, shared
from llmops_operator.decide.drift import intent
from llmops_operator.decide.reports import Verdict, verdict
from llmops_operator.decide.times import stamp
from llmops_operator.decide.troubles import first_trouble
from llmops_operator.decide.values import Hold, Plan
from llmops_operator.world import Document, Invalid, World

READY, RECONCILING, STALLED = "Ready", "Reconciling", "Stalled"
CONFIGURATION_CURRENT, BENCHMARK = "ConfigurationCurrent", "Benchmark"
ACCESS_OPEN, ACCESS_INVALID = "AccessOpen", "AccessInvalid"
SHARED_CACHE_UNAVAILABLE = "SharedCacheUnavailable"
MESSAGE_LENGTH = 4096
"""What the schema takes."""

_REFERENCES = frozenset({checks.TEMPLATE_INVALID, checks.POLICY_INVALID})


@dataclass(frozen=True)
class Condition:
    """One condition without its times; `status` is True, False or Unknown."""

    type: str
    status: str
    reason: str
    message: str


def conditions(world: World, plan: Plan, failure: Hold | None = None) -> tuple[Condition, ...]:
    """What is well and what is not; `failure` is what went wrong when the plan was carried out."""
    problem = plan.hold or _unfinished(world, plan)
    configuration = () if plan.hold else _configuration(verdict(world, plan.configuration))
    ready = _ready(world, failure if _matters(failure, problem) else problem)
    beside = (*_reference(plan.hold), *_benchmark(world), *_access(world), *_shared_cache(world))
    return (ready, *configuration, *_work(failure or problem), *beside)


def as_documents(
    found: Iterable[Condition], previous: Iterable[Document], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """The conditions with their times; the time of one whose status stays the same stays too."""
    times = {one["type"]: (one["status"], one["lastTransitionTime"]) for one in previous}
    return [
        {
            "type": one.type,
            "status": one.status,
            "reason": one.reason,
            "message": one.message[:MESSAGE_LENGTH],
            "lastTransitionTime": _transition(times.get(one.type), one.status, now),
            "observedGeneration": generation,
        }
        for one in found
    ]


def _transition(previous: tuple[str, str] | None, status: str, now: datetime) -> str:
    return previous[1] if previous is not None and previous[0] == status else stamp(now)


def _ready(world: World, problem: Hold | None) -> Condition:
    if problem is not None:
        return Condition(READY, "False", problem.reason, problem.message)
    serving = _counts(world)["availableReplicas"]
    if serving == 0:
        return Condition(READY, "True", "ScaledToZero", "no pod is wanted: spec.replicas is 0")
    return Condition(READY, "True", "Serving", f"{serving} {'pod serves' if serving == 1 else 'pods serve'}")


def _work(problem: Hold | None) -> tuple[Condition, ...]:
    if problem is None:
        return ()
    return (Condition(STALLED if problem.terminal else RECONCILING, "True", problem.reason, problem.message),)


def _reference(hold: Hold | None) -> tuple[Condition, ...]:
    if hold is None or hold.reason not in _REFERENCES:
        return ()
    return (Condition(hold.reason, "True", "CannotBeUsed", hold.message),)


def _benchmark(world: World) -> tuple[Condition, ...]:
    spec = world.deployment.spec
    if isinstance(spec, Invalid) or spec.engine is None or spec.engine.benchmark is None:
        return ()
    message = "engine.benchmark answers with made-up text, to measure the path alone: no model is served"
    return (Condition(BENCHMARK, "True", "NoModel", message),)


def _access(world: World) -> tuple[Condition, ...]:
    """Nothing of this makes pods that serve unready: who knows of it decides."""
    found = access.problem(world, (pod for pod in world.pods if not pod.terminating))
    opened = (Condition(ACCESS_OPEN, "True", "NoAccessConfigured", access.OPEN),) if access.is_open(world) else ()
    invalid = (Condition(ACCESS_INVALID, "True", "CannotBeUsed", found),) if found is not None else ()
    return (*opened, *invalid)


def _shared_cache(world: World) -> tuple[Condition, ...]:
    """Pods serve without it, only with fewer hits."""
    found = shared.problem(world)
    return () if found is None else (Condition(SHARED_CACHE_UNAVAILABLE, "True", "CannotBeUsed", found),)


def _matters(failure: Hold | None, problem: Hold | None) -> bool:
    """A failure that will be tried again says nothing about pods that serve what the spec says."""
    return failure is not None and (failure.terminal or problem is not None)


def _configuration(found: Verdict) -> tuple[Condition, ...]:
    if found.refused:
        name, error = found.refused[0]
        return (Condition(CONFIGURATION_CURRENT, "False", "Refused", f"pod {name}: {error}"),)
    if found.behind:
        message = f"waiting for {', '.join(found.behind)} to read the new configuration"
        return (Condition(CONFIGURATION_CURRENT, "False", "Pending", message),)
    if found.silent:
        name, reason = found.silent[0]
        message = f"pod {name} cannot be asked on its port {names.ADMIN_PORT}: {reason}"
        return (Condition(CONFIGURATION_CURRENT, "Unknown", "ReportsUnavailable", message),)
    if found.current:
        message = "every ready pod runs the newest configuration"
        return (Condition(CONFIGURATION_CURRENT, "True", "Current", message),)
    return ()


def _unfinished(world: World, plan: Plan) -> Hold | None:
    """Why not all wanted pods serve what the spec says: the first thing that is missing."""
    return _unapplied(world, plan) or _pods(world, _wanted(plan)) or _reports(verdict(world, plan.configuration))


def _unapplied(world: World, plan: Plan) -> Hold | None:
    """Objects that do not exist, or are not what the spec says; what others changed is put back without a word."""
    for child in plan.children:
        kind, name = child.document["kind"], child.document["metadata"]["name"]
        live = world.child(kind, name)
        if live is None or intent(live) != intent(child.document):
            return Hold("Applying", f"{kind} {name} is being applied", terminal=False)
    return None


def _pods(world: World, wanted: int) -> Hold | None:
    counts = _counts(world)
    if not _observed(world):
        return Hold("Progressing", "the Deployment's change has not been seen yet", terminal=False)
    rolled = (counts["updatedReplicas"], counts["replicas"]) == (wanted, wanted)
    if rolled and counts["availableReplicas"] >= wanted:
        return None
    trouble = first_trouble(world)
    if trouble is not None:
        return Hold(trouble.reason, trouble.message, terminal=False)
    return Hold("Progressing", _progress(counts, wanted), terminal=False)


def _progress(counts: dict[str, int], wanted: int) -> str:
    old = counts["replicas"] - counts["updatedReplicas"]
    leaving = f", {old} older to go" if old > 0 else ""
    pods = "pod is" if wanted == 1 else "pods are"
    return f"{min(counts['availableReplicas'], wanted)} of {wanted} {pods} ready{leaving}"


def _reports(found: Verdict) -> Hold | None:
    """Guards that cannot be asked block nothing: the pods serve, and ConfigurationCurrent says what is not known."""
    if found.refused:
        name, error = found.refused[0]
        message = f"the sidecars of pod {name} go on with the last good configuration and refuse the new one: {error}"
        return Hold("ConfigurationRefused", f"{message}; if they are older than the operator, replace the pod", True)
    if found.behind:
        message = f"waiting for {', '.join(found.behind)} to read the new configuration"
        return Hold("ConfigurationPending", message, terminal=False)
    return None


def _deployment(world: World) -> Document:
    return world.child("Deployment", names.child(world.deployment.metadata.name)) or {}


def _observed(world: World) -> bool:
    live = _deployment(world)
    seen = live.get("status", {}).get("observedGeneration", 0)
    return bool(seen >= live.get("metadata", {}).get("generation", 1))


def _wanted(plan: Plan) -> int:
    documents = (child.document for child in plan.children)
    return next(int(one["spec"]["replicas"]) for one in documents if one["kind"] == "Deployment")


def _counts(world: World) -> dict[str, int]:
    status = _deployment(world).get("status", {})
    return {name: status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas", "readyReplicas")}
