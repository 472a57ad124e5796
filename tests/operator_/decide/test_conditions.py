"""Conditions as kstatus and people read them."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from llmops_operator.api import LLMDeploymentStatus
from llmops_operator.decide.plan import plan
from llmops_operator.decide.status import deployment_status
from llmops_operator.decide.values import Hold
from llmops_operator.world import Report, Unreachable, World
from tests.operator_.decide.worlds import (
    BENCHMARK,
    CPU,
    NOW,
    pod,
    reported,
    rolled_out,
    waiting_pod,
    with_children,
    world,
)

TRY_AGAIN = Hold("ApplyFailed", "the API server answers 503", terminal=False)
REFUSED = Hold("ApplyRefused", "Deployment chat: 422 spec.x is wrong", terminal=True)


def with_status(before: World, **status: int) -> World:
    """The world with other counts in the Deployment's status."""
    workload = deepcopy(before.child("Deployment", "chat"))
    assert isinstance(workload, dict)
    workload["status"] = workload.get("status", {}) | status
    children = tuple(workload if one["kind"] == "Deployment" else one for one in before.children)
    return replace(before, children=children)


def with_report(report: Report | Unreachable) -> World:
    """One pod that serves and whose guard says this."""
    return replace(rolled_out(world()), guards={"chat-0": report})


def told(observed: World, failure: Hold | None = None) -> dict[str, tuple[str, str]]:
    """Status and reason of each condition, but for the one that says that nobody has thought of access."""
    conditions = deployment_status(observed, plan(observed), failure)["conditions"]
    return {one["type"]: (one["status"], one["reason"]) for one in conditions if one["type"] != "AccessOpen"}


CURRENT = {"ConfigurationCurrent": ("True", "Current")}
SERVING = {"Ready": ("True", "Serving")} | CURRENT


def unready(reason: str, kind: str = "Reconciling") -> dict[str, tuple[str, str]]:
    return {"Ready": ("False", reason), kind: ("True", reason)}


STATES: dict[str, tuple[Callable[[], World], dict[str, tuple[str, str]]]] = {
    "serving": (lambda: rolled_out(world()), SERVING),
    "two serve": (lambda: rolled_out(world(CPU | {"replicas": 2})), SERVING),
    "no pod wanted": (lambda: rolled_out(world(CPU | {"replicas": 0})), {"Ready": ("True", "ScaledToZero")}),
    "nothing applied": (world, unready("Applying")),
    "spec changed": (
        lambda: replace(rolled_out(world()), deployment=world(CPU | {"replicas": 2}).deployment),
        unready("Applying") | CURRENT,
    ),
    "Deployment not seen": (lambda: with_children(world()), unready("Progressing")),
    "one of two": (
        lambda: with_status(rolled_out(world(CPU | {"replicas": 2})), availableReplicas=1),
        unready("Progressing") | CURRENT,
    ),
    "old pods left": (lambda: with_status(rolled_out(world()), replicas=2), unready("Progressing") | CURRENT),
    "unschedulable": (
        lambda: replace(
            with_status(rolled_out(world()), availableReplicas=0),
            pods=(waiting_pod("chat-0", scheduling="no node"),),
        ),
        unready("Unschedulable"),
    ),
    "behind": (
        lambda: with_report(Report("old", None, "old")),
        unready("ConfigurationPending") | {"ConfigurationCurrent": ("False", "Pending")},
    ),
    "refused": (
        lambda: with_report(Report("old", "version 2 is not supported", "old")),
        unready("ConfigurationRefused", "Stalled") | {"ConfigurationCurrent": ("False", "Refused")},
    ),
    "silent": (
        lambda: with_report(Unreachable("timed out")),
        {"Ready": ("True", "Serving"), "ConfigurationCurrent": ("Unknown", "ReportsUnavailable")},
    ),
    "spec invalid": (lambda: world(CPU | {"x": 1}), unready("SpecInvalid", "Stalled")),
    "template missing": (
        lambda: world(CPU | {"prompts": {"templates": [{"name": "t"}]}}),
        unready("TemplateNotFound"),
    ),
    "template invalid": (
        lambda: world(CPU | {"prompts": {"templates": [{"name": "t"}]}}, templates={"t": {}}),
        unready("TemplateInvalid", "Stalled") | {"TemplateInvalid": ("True", "CannotBeUsed")},
    ),
    "benchmark": (lambda: rolled_out(world(BENCHMARK)), SERVING | {"Benchmark": ("True", "NoModel")}),
    "benchmark on its way": (lambda: world(BENCHMARK), unready("Applying") | {"Benchmark": ("True", "NoModel")}),
    "policy invalid": (
        lambda: world(CPU | {"guard": {"policyRef": {"name": "p"}}}, policies={"p": {"x": 1}}),
        unready("PolicyInvalid", "Stalled") | {"PolicyInvalid": ("True", "CannotBeUsed")},
    ),
}


@pytest.mark.parametrize(("make", "expected"), STATES.values(), ids=STATES.keys())
def test_conditions_tell_the_state(make: Callable[[], World], expected: dict[str, tuple[str, str]]) -> None:
    assert told(make()) == expected


@pytest.mark.parametrize("make", [make for make, _ in STATES.values()], ids=STATES.keys())
def test_a_status_fits_the_schema(make: Callable[[], World]) -> None:
    observed = make()
    status = deployment_status(observed, plan(observed))
    LLMDeploymentStatus.model_validate(status)
    assert status["observedGeneration"] == 1
    assert {one["observedGeneration"] for one in status["conditions"]} == {1}
    assert not {"Reconciling", "Stalled"} <= {one["type"] for one in status["conditions"]}


@pytest.mark.parametrize(
    ("make", "failure", "expected"),
    [
        (lambda: rolled_out(world()), TRY_AGAIN, SERVING | {"Reconciling": ("True", "ApplyFailed")}),
        (
            lambda: rolled_out(world()),
            REFUSED,
            CURRENT | {"Ready": ("False", "ApplyRefused"), "Stalled": ("True", "ApplyRefused")},
        ),
        (world, TRY_AGAIN, unready("ApplyFailed")),
        (world, REFUSED, unready("ApplyRefused", "Stalled")),
    ],
    ids=["serving, again", "serving, refused", "new, again", "new, refused"],
)
def test_a_failure_is_told(make: Callable[[], World], failure: Hold, expected: dict[str, tuple[str, str]]) -> None:
    assert told(make(), failure) == expected


def test_what_others_change_of_a_service_does_not_flap_ready() -> None:
    before = rolled_out(world())
    service = deepcopy(before.child("Service", "chat"))
    assert isinstance(service, dict)
    service["spec"]["type"] = "NodePort"
    edited = replace(before, children=tuple(service if one["kind"] == "Service" else one for one in before.children))
    assert any(one.reason for one in plan(edited).children)
    assert told(edited) == SERVING


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"availableReplicas": 1}, "1 of 2 pods are ready"),
        ({"replicas": 3, "updatedReplicas": 1, "availableReplicas": 2}, "2 of 2 pods are ready, 2 older to go"),
        ({"observedGeneration": 0}, "the Deployment's change has not been seen yet"),
    ],
    ids=["starting", "rolling", "unseen"],
)
def test_progress_is_told_in_numbers(counts: dict[str, int], message: str) -> None:
    observed = with_status(rolled_out(world(CPU | {"replicas": 2})), **counts)
    assert deployment_status(observed, plan(observed))["conditions"][0]["message"] == message


def test_a_status_that_stays_keeps_its_time() -> None:
    before = reported(rolled_out(world()))
    later = replace(before, now=NOW + timedelta(hours=1))
    assert deployment_status(later, plan(later)) == before.deployment.status


def test_a_status_that_changes_gets_a_new_time() -> None:
    before = reported(rolled_out(world()))
    later = with_status(replace(before, now=NOW + timedelta(hours=1)), availableReplicas=0)
    times = {one["type"]: one["lastTransitionTime"] for one in deployment_status(later, plan(later))["conditions"]}
    assert times == {
        "Ready": "2026-01-02T04:04:05Z",
        "ConfigurationCurrent": "2026-01-02T03:04:05Z",
        "Reconciling": "2026-01-02T04:04:05Z",
        "AccessOpen": "2026-01-02T03:04:05Z",
    }


def test_a_hold_keeps_what_the_pods_serve() -> None:
    before = reported(rolled_out(world()))
    invalid = world(CPU | {"x": 1}, generation=2).deployment
    held = replace(before, deployment=replace(invalid, status=before.deployment.status))
    status = deployment_status(held, plan(held))
    kept: list[Any] = [before.deployment.status[name] for name in ("revision", "configuration", "replicas", "url")]
    assert [status[name] for name in ("revision", "configuration", "replicas", "url")] == kept
    assert status["observedGeneration"] == 2


def test_the_status_names_what_clients_and_autoscalers_need() -> None:
    status = deployment_status(world(), plan(world()))
    assert status["url"] == "http://chat.team-a.svc/v1"
    assert status["selector"] == "app.kubernetes.io/name=llmops,app.kubernetes.io/instance=chat"


def test_a_long_message_is_cut_to_what_the_schema_takes() -> None:
    observed = world(CPU | {"x" * 5000: 1})
    LLMDeploymentStatus.model_validate(deployment_status(observed, plan(observed)))


def test_pods_on_their_way_out_are_not_asked() -> None:
    before = rolled_out(world())
    leaving = pod("chat-old", terminating=True)
    assert told(replace(before, pods=(*before.pods, leaving))) == SERVING
