"""What a shared cache makes of pods, their network and the sidecars' configuration."""

from __future__ import annotations

from typing import Any

import pytest

from llmops_operator.api import LLMDeploymentSpec
from llmops_operator.desired import contract, network, pod, revision
from llmops_sidecars.contract import SharedStore, decode, encode
from tests.operator_.desired.facts import BENCHMARK, CPU, EXTERNAL, facts

Document = dict[str, Any]
PASSWORD: Document = {"credentialsSecretRef": {"name": "valkey", "key": "password"}}
CA: Document = {"caSecretName": "valkey-ca"}
DIRECTORY = "/etc/llmops-shared-cache"


def sharing(url: str = "valkey://valkey", spec: Document = CPU, **more: Any) -> Document:
    return spec | {"cache": {"exact": {}, "shared": {"valkey": {"url": url, **more}}}}


def containers(document: Document) -> dict[str, Document]:
    spec = pod.template(facts(document))["spec"]
    return {one["name"]: one for one in (*spec.get("initContainers", []), *spec["containers"])}


@pytest.mark.parametrize(
    ("url", "more", "store"),
    [
        ("valkey://valkey", {}, SharedStore("valkey", "llmops:team-a:chat:")),
        (
            "valkeys://chat@Valkey.example:6380/3",
            PASSWORD | CA,
            SharedStore(
                "valkey.example",
                "llmops:team-a:chat:",
                6380,
                tls=True,
                user="chat",
                database=3,
                password_file=f"{DIRECTORY}/key",
                ca_file=f"{DIRECTORY}/ca.crt",
            ),
        ),
        ("rediss://10.0.0.1/0", {}, SharedStore("10.0.0.1", "llmops:team-a:chat:", tls=True)),
        (
            "redis://a:65535",
            PASSWORD,
            SharedStore("a", "llmops:team-a:chat:", 65535, password_file=f"{DIRECTORY}/key"),
        ),
    ],
)
def test_the_contract_says_where_the_store_is(url: str, more: Document, store: SharedStore) -> None:
    built = contract.build(facts(sharing(url, **more)))
    assert built.configurations[0].cache.shared == store
    assert decode(encode(built)) == built


def test_without_one_the_contract_does_not_speak_of_it() -> None:
    assert b"shared" not in encode(contract.build(facts(CPU | {"cache": {"exact": {}}})))


@pytest.mark.parametrize(
    ("spec", "holders"),
    [(CPU, ["cache"]), (BENCHMARK, ["cache"]), (EXTERNAL, ["guard"])],
    ids=["with an engine", "benchmark", "one process"],
)
def test_its_secrets_reach_the_cache_alone(spec: Document, holders: list[str]) -> None:
    document = sharing("valkeys://u@valkey", spec, **PASSWORD, **CA)
    found = [
        name
        for name, one in containers(document).items()
        if any(mount["mountPath"] == DIRECTORY and mount["readOnly"] for mount in one["volumeMounts"])
    ]
    assert found == holders
    (volume,) = (one for one in pod.template(facts(document))["spec"]["volumes"] if one["name"] == "shared-cache")
    assert volume["projected"]["sources"] == [
        {"secret": {"name": "valkey", "items": [{"key": "password", "path": "key"}], "optional": True}},
        {"secret": {"name": "valkey-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}], "optional": True}},
    ]


def test_without_secrets_nothing_is_mounted() -> None:
    assert pod.template(facts(sharing()))["spec"]["volumes"] == pod.template(facts(CPU))["spec"]["volumes"]


@pytest.mark.parametrize(
    ("more", "restarts"),
    [({}, False), (PASSWORD, True)],
    ids=["no secret", "a secret"],
)
def test_only_a_secret_makes_new_pods(*, more: Document, restarts: bool) -> None:
    before, after = (LLMDeploymentSpec.model_validate(one) for one in (CPU, sharing(**more)))
    assert (revision.engine_digest(before) != revision.engine_digest(after)) is restarts
    assert revision.configuration_digest(before, {}, None) != revision.configuration_digest(after, {}, None)


@pytest.mark.parametrize(
    ("host", "namespace"),
    [
        ("valkey", "team-a"),
        ("valkey.stores.svc", "stores"),
        ("valkey.stores.svc.cluster.local", "stores"),
    ],
)
def test_a_store_in_the_cluster_opens_its_namespace_and_names(host: str, namespace: str) -> None:
    names, store = network.network_policy(facts(sharing(f"valkey://{host}")))["spec"]["egress"]
    assert [one["port"] for one in names["ports"]] == [53, 53]
    assert store == {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}]}


@pytest.mark.parametrize(
    ("host", "spec"),
    [("valkey.example.com", CPU), ("10.0.0.1", CPU), ("valkey.stores", CPU), ("valkey", EXTERNAL)],
)
def test_a_store_outside_opens_the_way_there(host: str, spec: Document) -> None:
    _, everywhere = network.network_policy(facts(sharing(f"valkey://{host}", spec)))["spec"]["egress"]
    assert {"namespaceSelector": {}} in everywhere["to"]
    assert any(one.get("ipBlock", {}).get("except") == ["169.254.0.0/16"] for one in everywhere["to"])
