"""Children are put back, re-created, left alone and cleaned up, by the operator against the real API server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from e2e.kit.environment import Environment
from e2e.kit.figures import operator_total
from e2e.kit.kube import Document, Kube, condition, is_true
from e2e.kit.samples import deployment, pattern, policy, template
from e2e.kit.wait import steady, until

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("served")]
NAME = "chat"
BACK_SECONDS = 5
SPEC: Document = {
    "replicas": 1,
    "prompts": {"templates": [{"name": "support"}]},
    "guard": {"policyRef": {"name": "strict"}},
}

# kind, name, what a stranger changes, how to read it back
EDITS: list[tuple[str, str, Document, tuple[str, ...]]] = [
    ("ConfigMap", "chat-sidecars", {"data": {"contract.json": "{}"}}, ("data", "contract.json")),
    ("Deployment", "chat", {"spec": {"replicas": 0}}, ("spec", "replicas")),
    ("Service", "chat", {"spec": {"selector": {"app.kubernetes.io/instance": "other"}}}, ("spec", "selector")),
    ("PodDisruptionBudget", "chat", {"spec": {"maxUnavailable": 3}}, ("spec", "maxUnavailable")),
    ("NetworkPolicy", "chat", {"spec": {"ingress": [{}]}}, ("spec", "ingress")),
    ("ServiceAccount", "chat", {"automountServiceAccountToken": True}, ("automountServiceAccountToken",)),
]
CHILDREN = [(kind, name) for kind, name, *_ in EDITS]


@pytest.fixture(scope="module")
def served(kube: Kube, environment: Environment, namespace: str) -> Iterator[str]:
    kube.apply(template(namespace))
    kube.apply(policy(namespace, input=[{"secrets": {}}]))
    kube.apply(deployment(namespace, environment.images, NAME, **SPEC))
    until("Ready", lambda: ready(kube, namespace), 60)
    yield namespace
    kube.delete("LLMDeployment", NAME, namespace)


def ready(kube: Kube, namespace: str) -> bool:
    return is_true(kube.get("LLMDeployment", NAME, namespace), "Ready")


def configuration_of(kube: Kube, namespace: str, name: str) -> str:
    """The digest of what the pods are to run, as the status says."""
    return str(value(kube.get("LLMDeployment", name, namespace), ("status", "configuration")))


def serves_another(kube: Kube, namespace: str, name: str, before: str) -> bool:
    """Whether one status says both: Ready, and another configuration; each by itself may be of before the change."""
    document = kube.get("LLMDeployment", name, namespace)
    return is_true(document, "Ready") and value(document, ("status", "configuration")) != before


def value(document: Document | None, path: tuple[str, ...]) -> Any:
    for key in path:
        document = (document or {}).get(key)
    return document


@pytest.mark.parametrize(("kind", "name", "change", "path"), EDITS, ids=[kind for kind, *_ in EDITS])
def test_an_edited_child_is_put_back(
    kube: Kube, namespace: str, kind: str, name: str, change: Document, path: tuple[str, ...]
) -> None:
    before = value(kube.get(kind, name, namespace), path)
    assert before is not None
    kube.patch(kind, name, namespace, change)
    until(f"{kind} as before", lambda: value(kube.get(kind, name, namespace), path) == before, BACK_SECONDS)


def test_fields_of_others_stay(kube: Kube, namespace: str) -> None:
    theirs = {"metadata": {"annotations": {"team.example/owner": "us"}, "labels": {"team.example/tier": "gold"}}}
    kube.patch("Deployment", NAME, namespace, theirs)
    kube.patch("Deployment", NAME, namespace, {"spec": {"replicas": 2}})
    until(
        "replicas as before",
        lambda: value(kube.get("Deployment", NAME, namespace), ("spec", "replicas")) == 1,
        BACK_SECONDS,
    )
    metadata = value(kube.get("Deployment", NAME, namespace), ("metadata",))
    assert metadata["annotations"]["team.example/owner"] == "us"
    assert metadata["labels"]["team.example/tier"] == "gold"


@pytest.mark.parametrize(("kind", "name"), CHILDREN, ids=[kind for kind, _ in CHILDREN])
def test_a_deleted_child_is_made_again(kube: Kube, namespace: str, kind: str, name: str) -> None:
    before = kube.get(kind, name, namespace)
    assert before is not None
    kube.delete(kind, name, namespace)
    until(
        f"a new {kind}",
        lambda: (kube.get(kind, name, namespace) or before)["metadata"]["uid"] != before["metadata"]["uid"],
        BACK_SECONDS,
    )
    until("Ready again", lambda: ready(kube, namespace), 60)


def test_nothing_is_written_when_nothing_changes(kube: Kube, namespace: str) -> None:
    until("Ready", lambda: ready(kube, namespace), 60)

    before = operator_total(kube, "llmops_writes_total")
    passes = operator_total(kube, "llmops_reconciles_total")
    kube.patch("LLMDeployment", NAME, namespace, {"metadata": {"annotations": {"team.example/touch": "1"}}})
    until("another pass", lambda: operator_total(kube, "llmops_reconciles_total") > passes, 10)
    steady("no write", lambda: operator_total(kube, "llmops_writes_total") == before, 10)


@pytest.mark.parametrize(
    ("change", "back", "reason"),
    [
        ({"prompts": {"templates": [{"name": "absent"}]}}, {"prompts": {"templates": [{"name": "support"}]}}, "absent"),
        ({"guard": {"policyRef": {"name": "absent"}}}, {"guard": {"policyRef": {"name": "strict"}}}, "absent"),
    ],
    ids=["template", "policy"],
)
def test_a_missing_reference_says_so_and_harms_no_pod(
    kube: Kube, namespace: str, change: Document, back: Document, reason: str
) -> None:
    before = pod_uids(kube, namespace)
    kube.patch("LLMDeployment", NAME, namespace, {"spec": change})
    held = until("a held condition", lambda: said(kube, namespace, reason), 10)
    assert "create" in held.lower() or "apply" in held.lower()
    steady("the same pods", lambda: pod_uids(kube, namespace) == before, 3)
    kube.patch("LLMDeployment", NAME, namespace, {"spec": back})
    until("Ready again", lambda: ready(kube, namespace), 60)
    assert pod_uids(kube, namespace) == before


def test_a_changed_template_reaches_every_deployment_that_uses_it(
    kube: Kube, namespace: str, environment: Environment
) -> None:
    kube.apply(deployment(namespace, environment.images, "second", **SPEC))
    until("second Ready", lambda: is_true(kube.get("LLMDeployment", "second", namespace), "Ready"), 60)
    before = {name: configuration_of(kube, namespace, name) for name in (NAME, "second")}
    kube.apply(template(namespace, content="In short: {{ question }}"))
    for name, digest in before.items():
        configuration = f"{name}-sidecars"
        until(
            f"the new template in {configuration}",
            lambda configuration=configuration: "In short" in str(kube.get("ConfigMap", configuration, namespace)),  # type: ignore[misc]
            BACK_SECONDS,
        )
        until("Ready with it", lambda name=name, digest=digest: serves_another(kube, namespace, name, digest), 30)  # type: ignore[misc]
    kube.delete("LLMDeployment", "second", namespace)


def test_a_policy_that_cannot_be_used_leaves_the_last_good_one(kube: Kube, namespace: str) -> None:
    before = value(kube.get("ConfigMap", "chat-sidecars", namespace), ("data", "contract.json"))
    with pytest.raises(Exception, match="expression"):
        kube.apply(policy(namespace, input=[pattern("broken", "(unclosed")]))
    assert value(kube.get("ConfigMap", "chat-sidecars", namespace), ("data", "contract.json")) == before
    assert ready(kube, namespace)


def test_a_foreign_object_of_the_same_name_is_not_taken_over(
    kube: Kube, namespace: str, environment: Environment
) -> None:
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine-sidecars", "namespace": namespace}}
    kube.apply(theirs | {"data": {"theirs": "yes"}})
    kube.apply(deployment(namespace, environment.images, "mine"))
    held = until("Stalled", lambda: condition(kube.get("LLMDeployment", "mine", namespace), "Stalled"), 10)
    assert "mine-sidecars" in held["message"]
    assert value(kube.get("ConfigMap", "mine-sidecars", namespace), ("data",)) == {"theirs": "yes"}
    assert kube.get("Deployment", "mine", namespace) is None
    kube.delete("LLMDeployment", "mine", namespace)


def pod_uids(kube: Kube, namespace: str) -> list[str]:
    found = kube.list("Pod", namespace, f"app.kubernetes.io/instance={NAME}")
    return sorted(pod["metadata"]["uid"] for pod in found if "deletionTimestamp" not in pod["metadata"])


def said(kube: Kube, namespace: str, word: str) -> str | None:
    """The message of Stalled or Reconciling that holds the word."""
    document = kube.get("LLMDeployment", NAME, namespace)
    found = [condition(document, kind) for kind in ("Stalled", "Reconciling")]
    return next((one["message"] for one in found if one and word in one["message"]), None)
