"""Deletion on the real API server, with its garbage collector: nothing is left, and what was let go is not taken."""

from __future__ import annotations

import time

import pytest

from e2e.kit.environment import Environment
from e2e.kit.kube import Document, Kube
from e2e.kit.samples import deployment
from e2e.kit.wait import steady, until

pytestmark = pytest.mark.cluster
NAME = "gone"
SELECTOR = f"app.kubernetes.io/instance={NAME}"
CHILDREN = ("Deployment", "Service", "ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount")


def left(kube: Kube, namespace: str, *kinds: str) -> list[str]:
    found = (
        (kind, one)
        for kind in kinds or (*CHILDREN, "ReplicaSet", "Pod")
        for one in kube.list(kind, namespace, SELECTOR)
    )
    return [f"{kind} {one['metadata']['name']}" for kind, one in found]


def controllers(kube: Kube, namespace: str) -> list[Document]:
    return [
        owner
        for kind in CHILDREN
        for one in kube.list(kind, namespace, SELECTOR)
        for owner in one["metadata"].get("ownerReferences", [])
    ]


@pytest.mark.parametrize("milliseconds", [0, 20, 40, 80, 160, 320])
@pytest.mark.parametrize("cascade", ["background", "foreground"])
def test_what_is_deleted_while_it_is_made_leaves_nothing(
    kube: Kube, environment: Environment, namespace: str, cascade: str, milliseconds: int
) -> None:
    kube.apply(deployment(namespace, environment.images, NAME))
    time.sleep(milliseconds / 1000)  # not a wait: where in the making of the children the deletion falls
    kube.kubectl("-n", namespace, "delete", "llmdeployment", NAME, f"--cascade={cascade}", "--wait=false")
    until("nothing is left", lambda: not left(kube, namespace), 60)
    steady("nothing comes back", lambda: not left(kube, namespace), 1)


def test_what_is_let_go_stays_as_it_is_and_is_taken_again(kube: Kube, environment: Environment, namespace: str) -> None:
    wanted = deployment(namespace, environment.images, NAME)
    kube.apply(wanted)
    until("every child", lambda: len(controllers(kube, namespace)) >= len(CHILDREN), 20)
    before = left(kube, namespace, *CHILDREN)
    kube.kubectl("-n", namespace, "delete", "llmdeployment", NAME, "--cascade=orphan")
    until("they have no owner", lambda: not controllers(kube, namespace), 20)
    steady(
        "they stay, and nobody's",
        lambda: left(kube, namespace, *CHILDREN) == before and not controllers(kube, namespace),
        5,
    )
    kube.apply(wanted)
    until("they have an owner again", lambda: len(controllers(kube, namespace)) == len(before), 20)
    kube.delete("LLMDeployment", NAME, namespace)
    until("nothing is left", lambda: not left(kube, namespace), 60)
