"""The plan: what is applied, pruned, nudged, and when to look again."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from llmops_operator import names
from llmops_operator.decide.plan import ASK_AGAIN, ASK_RARELY, plan
from llmops_operator.desired.children import planned_names
from llmops_operator.settings import Images, Settings
from llmops_operator.world import Report, Unreachable, World
from tests.operator_.decide.worlds import (
    CPU,
    EXTERNAL,
    GPU,
    HUB,
    LISTED,
    NOW,
    POLICY,
    TEMPLATE,
    USES_BOTH,
    foreign,
    owner,
    pod,
    reported,
    rolled_out,
    waiting_pod,
    with_children,
    world,
)

ENGINES = {"cpu": CPU, "gpu": GPU, "hub": HUB, "external": EXTERNAL}
UPGRADED = Settings(
    images=Images(sidecar="sidecar:2", tensorrt_llm="trt:2", vllm="vllm:2"),
    hub_url="https://mirror.example",
)


@pytest.mark.parametrize("spec", ENGINES.values(), ids=ENGINES.keys())
def test_everything_is_applied_in_order_when_nothing_is_there(spec: dict[str, Any]) -> None:
    kinds = [one.document["kind"] for one in plan(world(spec)).children]
    configuration = ["ConfigMap", "ConfigMap"] if "gpus" in str(spec) else ["ConfigMap"]
    before, after = ["ServiceAccount", *configuration, "NetworkPolicy", "Service"], ["PodDisruptionBudget"]
    assert kinds == [*before, "Deployment", *after]
    assert {one.reason for one in plan(world(spec)).children} == {"it does not exist"}


@pytest.mark.parametrize("spec", ENGINES.values(), ids=ENGINES.keys())
def test_every_planned_name_is_looked_for(spec: dict[str, Any]) -> None:
    planned = {(one.document["kind"], one.document["metadata"]["name"]) for one in plan(world(spec)).children}
    assert planned <= set(planned_names("chat"))


@pytest.mark.parametrize("spec", ENGINES.values(), ids=ENGINES.keys())
def test_at_rest_nothing_is_done(spec: dict[str, Any]) -> None:
    planned = plan(rolled_out(world(spec)))
    assert planned.reasons() == ()
    assert planned.requeue_after is None


def test_a_plan_prints_its_reasons() -> None:
    before = with_children(world(), foreign("ConfigMap", "chat-old", ownerReferences=owner()))
    stale = replace(
        before, pods=(pod("chat-0"),), guards={"chat-0": Report("old", None, "old")}, children=before.children
    )
    assert plan(stale).reasons() == (
        "annotate Pod chat-0: its configuration changed",
        "delete ConfigMap chat-old: it is no longer wanted",
    )


def test_only_what_changed_is_applied() -> None:
    before = with_children(world())
    edited = deepcopy(before.child("Service", "chat"))
    assert isinstance(edited, dict)
    edited["spec"]["ports"][0]["targetPort"] = 8000
    reasons = {one.document["kind"]: one.reason for one in plan(with_children(world(), edited)).children if one.reason}
    assert reasons == {"Service": "spec.ports[http].targetPort was changed by somebody else"}


@pytest.mark.parametrize(
    ("metadata", "pruned"),
    [
        ({"ownerReferences": owner()}, True),
        ({"ownerReferences": owner(), "deletionTimestamp": "2026-01-01T00:00:00Z"}, False),
        ({"ownerReferences": owner("other")}, False),
        ({"labels": names.labels("chat")}, False),
    ],
    ids=["ours", "leaving", "another's", "nobody's"],
)
def test_what_we_own_and_do_not_want_is_deleted(*, metadata: dict[str, Any], pruned: bool) -> None:
    planned = plan(with_children(world(), foreign("ConfigMap", "chat-engine", **metadata)))
    assert bool(planned.prune) is pruned


def test_the_configuration_of_another_engine_is_pruned() -> None:
    before = with_children(world(GPU))
    planned = plan(replace(world(CPU), children=before.children))
    assert [one.document["metadata"]["name"] for one in planned.prune] == ["chat-engine"]


def test_an_upgraded_operator_restarts_no_pod() -> None:
    for spec in ENGINES.values():
        before = with_children(world(spec))
        after = plan(replace(before, settings=UPGRADED))
        assert [one.reason for one in after.children] == [None] * len(after.children)


def test_an_upgraded_operator_puts_its_images_into_new_pods() -> None:
    before = with_children(world(GPU))
    after = replace(world(GPU | {"resources": {"gpus": 1, "cpu": "8"}}, settings=UPGRADED), children=before.children)
    pods = _pod_spec(after)
    assert {one["image"] for one in pods["initContainers"]} == {"sidecar:2"}
    assert pods["containers"][0]["image"] == "trt:2"


def test_a_configuration_change_touches_one_config_map() -> None:
    spec = CPU | USES_BOTH
    before = with_children(world(spec, templates={"support": TEMPLATE}, policies={"strict": POLICY}))
    changed = TEMPLATE | {"parameters": {"maxTokens": 7}}
    after = world(spec, templates={"support": changed}, policies={"strict": POLICY})
    planned = plan(replace(after, children=before.children))
    assert [one.document["metadata"]["name"] for one in planned.children if one.reason] == ["chat-sidecars"]
    assert planned.engine == plan(before).engine
    assert planned.revision != plan(before).revision


def test_a_changed_list_of_phrases_is_a_changed_configuration() -> None:
    spec = CPU | {"guard": {"policyRef": {"name": "strict"}}}
    before = with_children(world(spec, policies={"strict": LISTED}, lists={"lists": {"words": "zebra"}}))
    after = world(spec, policies={"strict": LISTED}, lists={"lists": {"words": "zebra\nlion"}})
    planned = plan(replace(after, children=before.children))
    assert [one.document["metadata"]["name"] for one in planned.children if one.reason] == ["chat-sidecars"]
    assert planned.revision != plan(before).revision
    assert planned.configuration != plan(before).configuration


def test_lists_are_looked_at_again_since_nothing_tells_of_them() -> None:
    spec = CPU | {"guard": {"policyRef": {"name": "strict"}}}
    listed = {"strict": LISTED}
    assert plan(world(spec, policies=listed, lists={"lists": {"words": "a"}})).requeue_after == timedelta(seconds=30)
    assert plan(world(spec, policies=listed, lists={"lists": {"words": ""}})).requeue_after == timedelta(seconds=30)
    assert plan(world(spec, policies=listed)).requeue_after == timedelta(seconds=10)
    assert plan(world(spec, policies={"strict": POLICY})).requeue_after is None


def test_a_key_for_hashes_makes_new_pods_and_another_policy_does_not() -> None:
    spec = CPU | {"guard": {"policyRef": {"name": "strict"}}}
    keyed = POLICY | {"hashKeySecretRef": {"name": "hashing", "key": "k"}}
    before = world(spec, policies={"strict": POLICY})
    assert _template(world(spec, policies={"strict": keyed})) != _template(before)
    assert plan(world(spec, policies={"strict": keyed})).engine != plan(before).engine
    assert _template(world(spec, policies={"strict": {"input": [{"pii": {}}]}})) == _template(before)


@pytest.mark.parametrize(
    ("change", "restarts"),
    [
        ({"replicas": 3}, False),
        ({"limits": {"outputTokens": 9}}, False),
        ({"cache": {"exact": {"ttl": "5m"}}}, False),
        ({"model": {"name": "renamed"}}, False),
        ({"limits": {"requestSeconds": 9}}, True),
        ({"cache": {"maxBytes": "1Gi"}}, True),
        ({"resources": {"cpu": "8"}}, True),
        ({"engine": {"modelRepository": {"image": "triton-cpu:2"}}}, True),
    ],
    ids=str,
)
def test_only_the_engine_part_makes_new_pods(*, change: dict[str, Any], restarts: bool) -> None:
    before, after = _template(world(CPU)), _template(world(CPU | change))
    assert (before != after) is restarts


REPORTS: dict[str, tuple[Callable[[str], dict[str, Report | Unreachable]], timedelta | None, bool]] = {
    "current": (lambda wanted: {"chat-0": Report(wanted, None, wanted)}, None, False),
    "behind": (lambda _: {"chat-0": Report("old", None, "old")}, ASK_AGAIN, True),
    "cache behind": (lambda wanted: {"chat-0": Report(wanted, None, "old")}, ASK_AGAIN, True),
    "refused": (lambda _: {"chat-0": Report("old", "version 2 is not supported", "old")}, ASK_RARELY, True),
    "cache restarts": (lambda wanted: {"chat-0": Report(wanted, None, "", "no answer")}, ASK_AGAIN, True),
    "unreachable": (lambda _: {"chat-0": Unreachable("timed out")}, ASK_RARELY, True),
    "not asked": (lambda _: {}, ASK_RARELY, True),
}


@pytest.mark.parametrize(("guards", "again", "nudged"), REPORTS.values(), ids=REPORTS.keys())
def test_pods_are_nudged_and_asked_until_they_report_the_configuration(
    *, guards: Callable[[str], dict[str, Report | Unreachable]], again: timedelta | None, nudged: bool
) -> None:
    before = rolled_out(world())
    wanted = plan(before).configuration
    planned = plan(replace(before, guards=guards(wanted)))
    assert planned.requeue_after == again
    expected = [("chat-0", {names.ANNOTATION_CONFIGURATION: wanted})] if nudged else []
    assert [(one.pod, one.annotations) for one in planned.nudges] == expected


def test_a_pod_is_told_once() -> None:
    before = rolled_out(world())
    told = pod("chat-0", annotations={names.ANNOTATION_CONFIGURATION: plan(before).configuration})
    assert plan(replace(before, pods=(told,), guards={"chat-0": Report("old", None, "old")})).nudges == ()


@pytest.mark.parametrize(
    ("one", "nudged"),
    [
        (waiting_pod("chat-0", created=NOW - timedelta(seconds=5)), False),
        (waiting_pod("chat-0"), True),
        (waiting_pod("chat-0", ip=""), False),
        (pod("chat-0", terminating=True), False),
    ],
    ids=["fresh", "old", "not started", "leaving"],
)
def test_a_pod_that_is_not_asked_is_nudged_when_it_is_old(*, one: Any, nudged: bool) -> None:
    assert bool(plan(replace(rolled_out(world()), pods=(one,), guards={})).nudges) is nudged


def test_a_pod_that_takes_long_is_asked_rarely() -> None:
    before = replace(rolled_out(world()), guards={"chat-0": Report("old", None, "old")})
    later = replace(reported(before), now=NOW + timedelta(minutes=2))
    assert plan(later).requeue_after == ASK_RARELY


@pytest.mark.parametrize(
    ("live", "again"),
    [(foreign("Service", "chat"), 30), (foreign("Service", "chat", ownerReferences=owner("older")), 2)],
    ids=["taken", "predecessor"],
)
def test_holds_that_end_without_an_event_are_looked_at_again(live: dict[str, Any], again: int) -> None:
    assert plan(with_children(world(), live)).requeue_after == timedelta(seconds=again)


def test_equal_worlds_have_equal_plans() -> None:
    assert plan(world()) == plan(world())


def _template(observed: World) -> dict[str, Any]:
    deployed = next(one.document for one in plan(observed).children if one.document["kind"] == "Deployment")
    template: dict[str, Any] = deployed["spec"]["template"]
    return template


def _pod_spec(observed: World) -> dict[str, Any]:
    spec: dict[str, Any] = _template(observed)["spec"]
    return spec
