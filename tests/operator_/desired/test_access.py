"""What access makes of pods, Services and the sidecars' configuration."""

from __future__ import annotations

from typing import Any

import pytest

from llmops_operator.api import LLMDeploymentSpec
from llmops_operator.desired import access, contract, network, pod, revision
from llmops_sidecars import contract as sidecars
from tests.operator_.desired.facts import CPU, EXTERNAL, facts

Document = dict[str, Any]
KEYS: Document = {"apiKeys": {"secretName": "chat-keys"}}
JWT: Document = {"jwt": {"issuer": "https://login.example", "audiences": ["chat"]}}
TLS: Document = {"tls": {"secretName": "chat-tls"}}
MUTUAL: Document = {
    "tls": {"secretName": "chat-tls", "clientCASecretName": "chat-clients", "clientTenant": "CommonName"}
}
OWN_CA: Document = {"jwt": JWT["jwt"] | {"caSecretName": "login-ca"}}


def having(found: Document, spec: Document = CPU) -> Document:
    return spec | {"access": found}


def pod_spec(document: Document) -> Document:
    spec: Document = pod.template(facts(document))["spec"]
    return spec


def containers(document: Document) -> dict[str, Document]:
    spec = pod_spec(document)
    return {one["name"]: one for one in (*spec.get("initContainers", []), *spec["containers"])}


@pytest.mark.parametrize("spec", [CPU, EXTERNAL], ids=["with an engine", "external"])
@pytest.mark.parametrize(
    ("found", "secrets"),
    [
        ({}, {}),
        (KEYS, {"/etc/llmops-api-keys": ("chat-keys", None)}),
        (JWT, {}),
        (OWN_CA, {"/etc/llmops-issuer-ca": ("login-ca", ["ca.crt"])}),
        (TLS, {"/etc/llmops-tls": ("chat-tls", ["tls.crt", "tls.key"])}),
        (
            KEYS | MUTUAL,
            {
                "/etc/llmops-api-keys": ("chat-keys", None),
                "/etc/llmops-tls": ("chat-tls", ["tls.crt", "tls.key"]),
                "/etc/llmops-client-ca": ("chat-clients", ["ca.crt"]),
            },
        ),
    ],
    ids=["none", "keys", "tokens", "authority", "tls", "mutual"],
)
def test_secrets_are_mounted_into_the_guard_alone(spec: Document, found: Document, secrets: Document) -> None:
    volumes = {one["name"]: one["secret"] for one in pod_spec(having(found, spec))["volumes"] if "secret" in one}
    volumes.pop("credentials", None)
    mounted: Document = {}
    for name, container in containers(having(found, spec)).items():
        for mount in container["volumeMounts"]:
            if mount["name"] in volumes:
                assert (name, mount["readOnly"]) == ("guard", True)
                source = volumes[mount["name"]]
                assert (source["optional"], source["defaultMode"]) == (True, 0o440)
                items = [item["key"] for item in source["items"]] if "items" in source else None
                mounted[mount["mountPath"]] = (source["secretName"], items)
    assert mounted == secrets


@pytest.mark.parametrize("spec", [CPU, EXTERNAL], ids=["with an engine", "external"])
@pytest.mark.parametrize(
    ("found", "flags"),
    [
        ({}, []),
        (KEYS | JWT, []),
        (TLS, ["--tls=/etc/llmops-tls"]),
        (MUTUAL, ["--tls=/etc/llmops-tls", "--client-ca=/etc/llmops-client-ca"]),
    ],
    ids=["none", "known", "tls", "mutual"],
)
def test_the_guard_is_told_of_tls_as_it_starts(spec: Document, found: Document, flags: list[str]) -> None:
    arguments = containers(having(found, spec))["guard"]["args"]
    assert [one for one in arguments if one.startswith(("--tls", "--client-ca"))] == flags


@pytest.mark.parametrize(("found", "name", "port"), [({}, "http", 80), (KEYS, "http", 80), (TLS, "https", 443)])
def test_a_service_leads_to_pods_that_speak_the_same(found: Document, name: str, port: int) -> None:
    (served,) = network.service(facts(having(found)))["spec"]["ports"]
    assert served == {"name": name, "port": port, "targetPort": name, "protocol": "TCP"}
    ports = {one["name"]: one["containerPort"] for one in containers(having(found))["guard"]["ports"]}
    assert ports == {name: 8080, "metrics": 9090}


def test_probes_and_drain_stay_on_the_plain_administration_port() -> None:
    plain, guarded = containers(CPU), containers(having(MUTUAL))
    for what in ("readinessProbe", "livenessProbe", "lifecycle"):
        assert guarded["guard"][what] == plain["guard"][what]
    assert guarded["triton"]["lifecycle"] == plain["triton"]["lifecycle"]
    before, after = (network.network_policy(facts(one))["spec"]["ingress"] for one in (CPU, having(MUTUAL)))
    assert before == after


@pytest.mark.parametrize(("found", "leaves"), [({}, False), (KEYS | MUTUAL, False), (JWT, True)])
def test_pods_talk_to_an_issuer_only_where_there_is_one(*, found: Document, leaves: bool) -> None:
    assert bool(network.network_policy(facts(having(found)))["spec"].get("egress")) is leaves


def test_the_guard_is_told_all_and_no_secret() -> None:
    tenants = [{"name": "a", "requestsPerMinute": 1, "tokensPerMinute": 2, "concurrentRequests": 3, "weight": 4}]
    jwt = OWN_CA["jwt"] | {
        "jwksUrl": "https://login.example/keys",
        "tenantClaim": "team",
        "requiredClaims": [{"name": "role", "values": ["user"]}],
        "requiredScopes": ["chat"],
        "keyMaxAge": "10m",
    }
    found = KEYS | MUTUAL | {"jwt": jwt, "tenants": tenants, "default": {"queuedRequests": 0}}
    assert contract.build(facts(having(found))).access == sidecars.Access(
        api_keys=sidecars.ApiKeys("/etc/llmops-api-keys"),
        jwt=sidecars.Jwt(
            issuer="https://login.example",
            audiences=("chat",),
            jwks_url="https://login.example/keys",
            ca_file="/etc/llmops-issuer-ca/ca.crt",
            tenant_claim="team",
            required_claims=(sidecars.RequiredClaim("role", ("user",)),),
            required_scopes=("chat",),
            key_max_age_seconds=600.0,
        ),
        certificate_tenant=sidecars.CertificateField.COMMON_NAME,
        tenants=(sidecars.Tenant("a", sidecars.TenantLimits(1, 2, 3, weight=4)),),
        default_limits=sidecars.TenantLimits(queued_requests=0),
    )


def test_without_access_everybody_may_ask() -> None:
    assert contract.build(facts()).access == sidecars.Access()
    assert access.settings(facts(having(TLS)).access).is_open


@pytest.mark.parametrize(
    ("found", "new_pods"),
    [
        ({}, False),
        (JWT, False),
        (KEYS, True),
        (TLS, True),
        (KEYS | {"apiKeys": {"secretName": "others"}}, True),
        ({"default": {"requestsPerMinute": 5}}, False),
    ],
    ids=["empty", "tokens", "keys", "tls", "other keys", "limits"],
)
def test_only_what_is_mounted_makes_new_pods_and_nothing_makes_a_new_configuration(
    *, found: Document, new_pods: bool
) -> None:
    before, after = (LLMDeploymentSpec.model_validate(one) for one in (CPU, having(found)))
    assert (revision.engine_digest(before) != revision.engine_digest(after)) is new_pods
    assert revision.configuration_digest(before, {}, None) == revision.configuration_digest(after, {}, None)


def test_the_name_of_a_secret_is_part_of_the_pod() -> None:
    specs = (LLMDeploymentSpec.model_validate(having({"apiKeys": {"secretName": name}})) for name in ("a", "b"))
    assert len({revision.engine_digest(spec) for spec in specs}) == 2
