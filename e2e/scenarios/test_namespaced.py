"""The operator installed for some namespaces only: Roles instead of a ClusterRole, and blind to all others."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from e2e.kit.environment import Environment
from e2e.kit.install import NAMESPACE, RELEASE, install
from e2e.kit.kube import Kube, is_true
from e2e.kit.samples import policy, template
from e2e.kit.wait import steady, until

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def watched(kube: Kube, environment: Environment) -> Iterator[str]:
    with kube.namespace(f"watched-{secrets.token_hex(3)}") as name:
        install(kube, environment, "scope=Namespaces", f"namespaces[0]={name}")
        yield name
        install(kube, environment)


def test_it_works_where_it_is_told_to(kube: Kube, watched: str) -> None:
    kube.apply(template(watched))
    kube.apply(policy(watched, input=[{"secrets": {}}]))
    for kind, name in (("PromptTemplate", "support"), ("GuardPolicy", "strict")):
        until("Ready", lambda kind=kind, name=name: is_true(kube.get(kind, name, watched), "Ready"), 30)  # type: ignore[misc]


def test_it_sees_nothing_elsewhere(kube: Kube, watched: str, namespace: str) -> None:
    assert watched != namespace
    kube.apply(template(namespace))
    steady("no status", lambda: "status" not in (kube.get("PromptTemplate", "support", namespace) or {}), 3)


def test_it_has_no_right_elsewhere(kube: Kube, watched: str) -> None:
    account = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
    shown = kube.kubectl("auth", "can-i", "list", "llmdeployments.llmops.dev", "-n", watched, "--as", account)
    assert shown.strip() == "yes"
    with pytest.raises(RuntimeError, match="no"):
        kube.kubectl("auth", "can-i", "list", "llmdeployments.llmops.dev", "-n", "default", "--as", account)


def test_no_request_of_it_was_forbidden(kube: Kube, watched: str) -> None:
    assert watched
    logs = kube.kubectl("logs", "--namespace", NAMESPACE, f"deployment/{RELEASE}", "--tail=-1")
    assert "forbidden" not in logs.lower()
