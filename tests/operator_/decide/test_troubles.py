"""What keeps pods from serving is told in words that help."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta

import pytest

from llmops_operator.decide.troubles import MESSAGE_LENGTH, first_trouble
from llmops_operator.world import Container, Pod, World
from tests.operator_.decide.worlds import GPU, NOW, pod, waiting_pod, with_children, world

PULL = Container("guard", waiting_reason="ImagePullBackOff", waiting_message="Back-off pulling image sidecar:1")
NO_SECRET = Container("guard", waiting_reason="CreateContainerConfigError", waiting_message='secret "hub" not found')
FETCH = Container("fetch-model", terminated_reason="Error", terminated_message="401 for a/b: gated", exit_code=1)
CRASH = Container(
    "triton",
    restarts=4,
    waiting_reason="CrashLoopBackOff",
    terminated_reason="Error",
    terminated_message="failed to load\n'tensorrt_llm'",
    exit_code=1,
)
MEMORY = Container("triton", terminated_reason="OOMKilled", exit_code=137)
GUARD = Container("guard", terminated_reason="Error", exit_code=2)
SCHEDULING = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."

TROUBLES: dict[str, tuple[Pod, str, str]] = {
    "unschedulable": (waiting_pod("p", scheduling=SCHEDULING), "Unschedulable", SCHEDULING),
    "image": (waiting_pod("p", PULL), "ImagePullFailed", "Back-off pulling image sidecar:1; check its name"),
    "image without words": (
        waiting_pod("p", Container("triton", waiting_reason="ErrImageNeverPull")),
        "ImagePullFailed",
        "container triton in pod p cannot be pulled: ErrImageNeverPull",
    ),
    "secret": (waiting_pod("p", NO_SECRET), "ContainerNotMade", 'secret "hub" not found; create what is missing'),
    "fetch": (waiting_pod("p", FETCH), "ModelFetchFailed", "401 for a/b: gated; check repository, revision and token"),
    "crash": (
        waiting_pod("p", CRASH),
        "EngineFailing",
        "(it was started 5 times): failed to load 'tensorrt_llm'; check the model and the engine's arguments",
    ),
    "memory": (waiting_pod("p", MEMORY), "EngineFailing", "OOMKilled, exit code 137; give it more memory"),
    "sidecar": (waiting_pod("p", GUARD), "SidecarFailing", "Error, exit code 2; read its log: kubectl logs p -c guard"),
}


@pytest.mark.parametrize(("one", "reason", "words"), TROUBLES.values(), ids=TROUBLES.keys())
def test_a_trouble_quotes_kubernetes_and_says_what_to_do(one: Pod, reason: str, words: str) -> None:
    found = first_trouble(replace(world(), pods=(one,)))
    assert found is not None
    assert found.reason == reason
    assert words in found.message


FINE: dict[str, Callable[[], tuple[Pod, ...]]] = {
    "no pod": tuple,
    "ready": lambda: (pod("p", replace(CRASH, ready=True)),),
    "leaving": lambda: (waiting_pod("p", CRASH, terminating=True),),
    "starting": lambda: (waiting_pod("p", Container("triton", waiting_reason="PodInitializing")),),
    "crashed once, runs since": (lambda: (waiting_pod("p", replace(CRASH, ready=True)),)),
    "guard that waits for the engine after a crash": lambda: (waiting_pod("p", replace(GUARD, running=True)),),
    "init container that ended well": lambda: (waiting_pod("p", replace(FETCH, exit_code=0)),),
}


@pytest.mark.parametrize("pods", FINE.values(), ids=FINE.keys())
def test_what_heals_by_itself_is_no_trouble(pods: Callable[[], tuple[Pod, ...]]) -> None:
    assert first_trouble(replace(world(), pods=pods())) is None


def test_the_newest_pod_is_told() -> None:
    older = waiting_pod("older", CRASH)
    newer = waiting_pod("newer", replace(CRASH, terminated_message="new words"), created=NOW - timedelta(seconds=1))
    found = first_trouble(replace(world(), pods=(older, newer)))
    assert found is not None
    assert "new words" in found.message


def test_pods_that_the_cluster_refuses_come_first() -> None:
    before = with_children(world(GPU))
    workload = deepcopy(before.child("Deployment", "chat"))
    assert isinstance(workload, dict)
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: gpus"}
    workload["status"] = {"conditions": [failure]}
    refused: World = replace(before, children=(workload,), pods=(waiting_pod("p", CRASH),))
    found = first_trouble(refused)
    assert found is not None
    assert (found.reason, "exceeded quota" in found.message) == ("PodsRefused", True)


def test_a_long_log_is_cut_at_its_beginning() -> None:
    long = replace(CRASH, terminated_message=f"{'x ' * MESSAGE_LENGTH}the end")
    found = first_trouble(replace(world(), pods=(waiting_pod("p", long),)))
    assert found is not None
    assert "the end" in found.message
    assert len(found.message) < MESSAGE_LENGTH + 200
