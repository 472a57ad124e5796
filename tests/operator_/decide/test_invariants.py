"""What holds for every world, whatever was observed."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmops_operator.api import LLMDeploymentStatus
from llmops_operator.decide.plan import plan
from llmops_operator.decide.status import deployment_status
from llmops_operator.world import Container, Pod, Report, Unreachable, World, owned_by
from tests.operator_.decide.worlds import (
    CPU,
    EXTERNAL,
    GPU,
    HUB,
    NOW,
    POLICY,
    TEMPLATE,
    UID,
    USES_BOTH,
    foreign,
    owner,
    pod,
    rolled_out,
    world,
)

KEYED = CPU | {"access": {"apiKeys": {"secretName": "keys"}, "tls": {"secretName": "tls"}}}
SPECS = st.sampled_from(
    [CPU, GPU, HUB, EXTERNAL, KEYED, CPU | USES_BOTH, CPU | {"replicas": 0}, CPU | {"unknown": 1}, None]
)
TEMPLATES: st.SearchStrategy[dict[str, Any]] = st.sampled_from([{}, {"support": TEMPLATE}, {"support": {}}])
POLICIES: st.SearchStrategy[dict[str, Any]] = st.sampled_from([{}, {"strict": POLICY}, {"strict": {"x": 1}}])
STRANGERS = st.lists(
    st.sampled_from(
        [
            foreign("ConfigMap", "chat-old", ownerReferences=owner()),
            foreign("ConfigMap", "chat-engine", ownerReferences=owner()),
            foreign("ConfigMap", "theirs"),
            foreign("Service", "chat"),
            foreign("Deployment", "other", ownerReferences=owner("else")),
        ]
    ),
    unique_by=lambda one: (one["kind"], one["metadata"]["name"]),
)
REASONS = st.sampled_from(["", "ImagePullBackOff", "CrashLoopBackOff", "CreateContainerConfigError", "PodInitializing"])
CONTAINERS = st.builds(
    Container,
    name=st.sampled_from(["guard", "cache", "triton", "fetch-model"]),
    ready=st.booleans(),
    waiting_reason=REASONS,
    exit_code=st.sampled_from([None, 0, 1, 137]),
    running=st.booleans(),
)
PODS = st.lists(
    st.builds(
        lambda number, container, ready, terminating, seconds, scheduling: replace(
            pod(f"chat-{number}", container, ready=ready, terminating=terminating, scheduling=scheduling),
            created=NOW - timedelta(seconds=seconds),
        ),
        st.integers(0, 3),
        CONTAINERS,
        st.booleans(),
        st.booleans(),
        st.integers(0, 100),
        st.sampled_from(["", "0/3 nodes are available"]),
    ),
    max_size=3,
    unique_by=lambda one: one.name,
)
DIGESTS = st.sampled_from(["", "old", "wanted"])
ERRORS = st.sampled_from([None, "refused"])
GUARDS = st.one_of(
    st.builds(Report, DIGESTS, ERRORS, DIGESTS, ERRORS, st.sampled_from([(), (("apiKeys", "there is no key"),)])),
    st.builds(Unreachable, st.just("timed out")),
)
COUNTS = st.fixed_dictionaries(
    {name: st.integers(0, 3) for name in ("replicas", "updatedReplicas", "availableReplicas", "readyReplicas")}
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A world somewhere between nothing and all well."""
    fresh = world(draw(SPECS), templates=draw(TEMPLATES), policies=draw(POLICIES))
    if plan(fresh).hold is not None:
        return replace(fresh, children=tuple(draw(STRANGERS)))
    whole = rolled_out(fresh)
    strangers = draw(STRANGERS)
    taken = {(one["kind"], one["metadata"]["name"]) for one in strangers}
    kept = [
        one for one in whole.children if (one["kind"], one["metadata"]["name"]) not in taken and draw(st.booleans())
    ]
    children = [
        _with_counts(one, draw(COUNTS)) if one["kind"] == "Deployment" and draw(st.booleans()) else one for one in kept
    ]
    pods = tuple(draw(PODS))
    guards = {one.name: _of_this_plan(draw(GUARDS), plan(whole).configuration) for one in pods if draw(st.booleans())}
    return replace(whole, children=(*children, *strangers), pods=pods, guards=guards)


def _with_counts(workload: Any, counts: dict[str, int]) -> Any:
    changed = deepcopy(workload)
    changed["status"] |= counts
    return changed


def _of_this_plan(report: Report | Unreachable, wanted: str) -> Report | Unreachable:
    if isinstance(report, Unreachable):
        return report
    digest, cache = (wanted if one == "wanted" else one for one in (report.digest, report.cache_digest))
    return replace(report, digest=digest, cache_digest=cache)


def _serves(one: Pod) -> bool:
    return one.ready and not one.terminating


@given(worlds())
def test_a_status_is_true_to_the_world(observed: World) -> None:
    planned = plan(observed)
    status = deployment_status(observed, planned)
    LLMDeploymentStatus.model_validate(status)
    told = {one["type"]: one["status"] for one in status["conditions"]}
    assert len(told) == len(status["conditions"])
    working, stuck = told.pop("Reconciling", None), told.pop("Stalled", None)
    assert {working, stuck} in ({None}, {None, "True"})
    assert (told["Ready"] == "True") is (working is None and stuck is None)


@given(worlds())
def test_ready_is_never_said_of_pods_that_run_another_configuration(observed: World) -> None:
    planned = plan(observed)
    ready = deployment_status(observed, planned)["conditions"][0]["status"]
    reports = [observed.guards.get(one.name) for one in observed.pods if _serves(one)]
    behind = [one for one in reports if isinstance(one, Report) and one.digest != planned.configuration]
    assert not (behind and ready == "True")


@given(worlds())
def test_nothing_of_others_is_touched(observed: World) -> None:
    planned = plan(observed)
    assert all(owned_by(one.document, UID) for one in planned.prune)
    for child in planned.children:
        live = observed.child(child.document["kind"], child.document["metadata"]["name"])
        assert live is None or owned_by(live, UID)


@given(worlds())
def test_a_hold_does_nothing(observed: World) -> None:
    planned = plan(observed)
    if planned.hold is not None:
        assert (planned.children, planned.nudges, planned.prune) == ((), (), ())


@given(worlds())
def test_a_plan_that_was_carried_out_leaves_nothing_to_apply(observed: World) -> None:
    planned = plan(observed)
    pruned = [one.document for one in planned.prune]
    applied = {(one.document["kind"], one.document["metadata"]["name"]): one.document for one in planned.children}
    rest = [
        one for one in observed.children if one not in pruned and (one["kind"], one["metadata"]["name"]) not in applied
    ]
    again = plan(replace(observed, children=(*rest, *applied.values())))
    assert [one.reason for one in again.children] == [None] * len(planned.children)
    assert again.prune == ()
