"""What all children have in common, and the small ones."""

from __future__ import annotations

from typing import Any

import pytest

from llmops_operator import names
from llmops_operator.desired import network, workload
from llmops_operator.desired.children import children
from llmops_operator.desired.digest import digest
from llmops_operator.settings import Settings
from tests.operator_.desired.facts import ALL, BENCHMARK, CPU, EXTERNAL, FALLBACK, GPU, HUB, IMAGE, UID, VLLM, facts

Document = dict[str, Any]
SELECTED = {"app.kubernetes.io/name": "llmops", "app.kubernetes.io/instance": "chat"}


@pytest.mark.parametrize("spec", ALL.values(), ids=ALL.keys())
def test_every_child_is_labelled_owned_and_sealed(spec: Document) -> None:
    for child in children(facts(spec)):
        metadata = child["metadata"]
        assert metadata["namespace"] == "team-a"
        assert metadata["labels"] == names.labels("chat")
        (owner,) = metadata["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (UID, True)
        assert "blockOwnerDeletion" not in owner, "it takes a right where owner references are enforced"
        intent = metadata["annotations"].pop(names.ANNOTATION_INTENT)
        annotations = metadata.pop("annotations")
        assert intent == digest(child | {"metadata": metadata | ({"annotations": annotations} if annotations else {})})


def test_the_budget_lets_one_pod_go_and_always_a_broken_one() -> None:
    spec = workload.disruption_budget(facts())["spec"]
    assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    assert spec["selector"] == {"matchLabels": SELECTED}


def test_a_rollout_never_takes_capacity_away() -> None:
    spec = workload.deployment(facts(CPU | {"replicas": 4}))["spec"]
    assert spec["replicas"] == 4
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert spec["selector"]["matchLabels"] == SELECTED
    assert SELECTED.items() <= spec["template"]["metadata"]["labels"].items()


def test_the_account_has_no_token_and_the_pull_secrets() -> None:
    account = workload.service_account(facts(settings=Settings(image_pull_secrets=("a", "b"))))
    assert account["automountServiceAccountToken"] is False
    assert account["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]
    assert "imagePullSecrets" not in workload.service_account(facts())


def test_the_service_leads_to_the_guard_alone() -> None:
    spec = network.service(facts())["spec"]
    assert spec["ports"] == [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    assert spec["selector"] == SELECTED


def test_only_the_guards_port_is_open_to_everybody() -> None:
    spec = network.network_policy(facts(settings=Settings(scrape_namespaces=("monitoring", "a"))))["spec"]
    clients, scrapers = spec["ingress"]
    assert clients == {"ports": [{"port": 8080, "protocol": "TCP"}]}
    assert scrapers["ports"] == [{"port": 9090, "protocol": "TCP"}]
    (peer,) = scrapers["from"]
    (expression,) = peer["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == ["a", "llmops-system", "monitoring"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]


@pytest.mark.parametrize(
    ("spec", "leaves"),
    [
        (CPU, False),
        (GPU, False),
        (VLLM, False),
        (IMAGE, False),
        (BENCHMARK, False),
        (HUB, True),
        (EXTERNAL, True),
        (FALLBACK, True),
    ],
    ids=["cpu", "gpu", "vllm", "image", "benchmark", "hub", "external", "fallback"],
)
def test_pods_talk_to_the_world_only_where_they_must(*, spec: Document, leaves: bool) -> None:
    egress = network.network_policy(facts(spec))["spec"].get("egress", [])
    assert bool(egress) is leaves


def test_the_nodes_metadata_service_stays_out_of_reach() -> None:
    _, everywhere = network.network_policy(facts(EXTERNAL))["spec"]["egress"]
    blocks = [peer["ipBlock"] for peer in everywhere["to"] if "ipBlock" in peer]
    assert {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]} in blocks
