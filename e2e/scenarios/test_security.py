"""Least privilege, shown on running pods: Pod Security, tokens, what the engine answers, what the operator may do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.kit.environment import Environment
from e2e.kit.kube import Document, Kube, is_true
from e2e.kit.samples import deployment
from e2e.kit.wait import until

pytestmark = pytest.mark.cluster
NAME = "chat"


@pytest.fixture(scope="module")
def pod(kube: Kube, environment: Environment, namespace: str) -> Iterator[Document]:
    kube.apply(deployment(namespace, environment.images, NAME))
    until("Ready", lambda: is_true(kube.get("LLMDeployment", NAME, namespace), "Ready"), 60)
    yield kube.list("Pod", namespace, f"app.kubernetes.io/instance={NAME}")[0]
    kube.delete("LLMDeployment", NAME, namespace)


def test_the_namespace_enforces_restricted(kube: Kube, namespace: str, pod: Document) -> None:
    labels = (kube.get("Namespace", namespace) or {})["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert pod["status"]["phase"] == "Running"


def test_no_container_holds_a_token(pod: Document) -> None:
    containers = [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
    mounts = [mount["mountPath"] for container in containers for mount in container.get("volumeMounts", [])]
    assert not [path for path in mounts if "serviceaccount" in path]
    assert pod["spec"]["serviceAccountName"] == NAME


@pytest.mark.parametrize("port", [8000, 8001, 8002])
def test_the_engine_is_not_reachable_from_another_pod(kube: Kube, namespace: str, pod: Document, port: int) -> None:
    probe = f"import socket; socket.create_connection(('{pod['status']['podIP']}', {port}), timeout=3)"
    with pytest.raises(RuntimeError, match="ConnectionRefusedError"):
        kube.kubectl(
            "exec", "--namespace", namespace, pod["metadata"]["name"], "--container", "guard", "--",
            "/opt/llmops/bin/python", "-c", probe,
        )  # fmt: skip


def test_the_operator_was_never_forbidden_anything(kube: Kube) -> None:
    logs = kube.kubectl("logs", "--namespace", "llmops-system", "deployment/llmops-operator", "--tail=-1")
    assert "forbidden" not in logs.lower()


def test_the_operator_may_read_no_secret(kube: Kube) -> None:
    account = "system:serviceaccount:llmops-system:llmops-operator"
    for verb in ("get", "list", "watch"):
        with pytest.raises(RuntimeError, match="no"):
            kube.kubectl("auth", "can-i", verb, "secrets", "--all-namespaces", "--as", account)
