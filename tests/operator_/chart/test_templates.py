"""The chart as helm renders it: rights are the operator's own table, and the pod is as bare as it can be."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmops_operator.__main__ import read_settings
from llmops_operator.cluster import kinds
from llmops_operator.settings import Images, Settings

CHART = Path(__file__).parents[3] / "charts" / "llmops-operator"
NAMESPACE = "llmops-system"
Document = dict[str, Any]
Rights = dict[tuple[str, str], set[str]]


@pytest.fixture(scope="session")
def helm() -> str:
    """The path of helm: in PATH, or where the embedded cluster is built."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmops-operator"
    folder = Path(os.environ.get("LLMOPS_CLUSTER_CACHE") or cache) / "bin"
    found = shutil.which("helm") or shutil.which("helm", path=str(folder))
    if found is not None:
        return found
    reason = "no helm: neither in PATH nor built for the embedded cluster"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def render(helm: str) -> Any:
    """Renders the chart with `--set` arguments; raises with helm's words when it refuses."""

    def rendered(*values: str) -> list[Document]:
        settings = [argument for value in values for argument in ("--set-json", value)]
        command = [helm, "template", "llmops-operator", str(CHART), "--namespace", NAMESPACE, *settings]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(done.stderr)
        return [one for one in yaml.safe_load_all(done.stdout) if one]

    return rendered


NAMESPACED = ('scope="Namespaces"', 'namespaces=["team-a","team-b"]')


def of(documents: list[Document], kind: str) -> list[Document]:
    return [one for one in documents if one["kind"] == kind]


def pod(documents: list[Document]) -> Document:
    spec: Document = of(documents, "Deployment")[0]["spec"]["template"]["spec"]
    return spec


def rights(role: Document) -> Rights:
    found: Rights = defaultdict(set)
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found[group, resource] |= set(rule["verbs"])
    return dict(found)


def wanted() -> Rights:
    """The rights that the operator's own table asks for where it watches."""
    table = {(kind.group, kind.plural): set(kind.verbs) for kind in kinds.WATCHED}
    status = {(kind.group, f"{kind.plural}/status"): set(kind.status_verbs) for kind in kinds.OWN}
    return table | status


def test_helm_has_nothing_to_say_against_it(helm: str) -> None:
    done = subprocess.run([helm, "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_cluster_wide_it_has_the_rights_of_the_table_and_no_more(render: Any) -> None:
    documents = render()
    (role,) = of(documents, "ClusterRole")
    assert rights(role) == wanted()
    assert [one["metadata"]["namespace"] for one in of(documents, "Role")] == [NAMESPACE]


def test_namespaced_it_has_the_same_rights_in_these_namespaces_only(render: Any) -> None:
    documents = render(*NAMESPACED)
    assert of(documents, "ClusterRole") + of(documents, "ClusterRoleBinding") == []
    roles = {one["metadata"]["namespace"]: rights(one) for one in of(documents, "Role")}
    assert roles == {
        NAMESPACE: {(kinds.LEASE.group, kinds.LEASE.plural): set(kinds.LEASE.verbs)},
        "team-a": wanted(),
        "team-b": wanted(),
    }
    for binding in of(documents, "RoleBinding"):
        account = {"kind": "ServiceAccount", "name": "llmops-operator", "namespace": NAMESPACE}
        assert binding["subjects"] == [account]


@pytest.mark.parametrize("values", [(), NAMESPACED], ids=["cluster", "namespaces"])
def test_no_rule_reaches_for_more(render: Any, values: tuple[str, ...]) -> None:
    documents = render(*values)
    for role in of(documents, "ClusterRole") + of(documents, "Role"):
        for (group, resource), verbs in rights(role).items():
            assert "*" not in {group, resource, *verbs}
            assert resource != "secrets"
            assert not verbs & {"escalate", "bind", "impersonate", "deletecollection", "update"}


def test_the_environment_is_what_the_command_reads(render: Any) -> None:
    images = 'images={"operator":"o:1","sidecar":"s:1","tensorrtLLM":"t:1","vLLM":"v:1"}'
    others = ('scrapeNamespaces=["monitoring"]', 'imagePullSecrets=["pull"]', "resyncSeconds=60", "workers=2")
    (container,) = pod(render(images, *NAMESPACED, *others))["containers"]
    variables = {one["name"]: one.get("value", NAMESPACE) for one in container["env"]}
    settings = read_settings(variables)
    assert settings.images == Images("s:1", "t:1", "v:1")
    assert (settings.namespaces, settings.scrape_namespaces) == (("team-a", "team-b"), ("monitoring",))
    assert (settings.image_pull_secrets, settings.workers) == (("pull",), 2)
    assert settings.resync.total_seconds() == 60
    assert container["image"] == "o:1"


def test_without_values_the_settings_are_the_defaults(render: Any) -> None:
    (container,) = pod(render())["containers"]
    assert read_settings({one["name"]: one.get("value", NAMESPACE) for one in container["env"]}) == Settings()


def test_the_pod_is_bare(render: Any) -> None:
    spec = pod(render())
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    token = spec["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]
    assert token["expirationSeconds"] <= 3600
    assert container["resources"]["limits"]["memory"]


def test_probes_look_at_the_port_that_is_served(render: Any) -> None:
    (container,) = pod(render())["containers"]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: ports[probe["port"]] for name, probe in probes.items()} == dict.fromkeys(probes, 8080)
    assert probes["readiness"]["path"] == "/readyz"


@pytest.mark.parametrize(("replicas", "budgets"), [(1, 0), (2, 1)])
def test_a_budget_comes_with_the_second_replica(render: Any, replicas: int, budgets: int) -> None:
    documents = render(f"replicas={replicas}")
    assert of(documents, "Deployment")[0]["spec"]["replicas"] == replicas
    assert len(of(documents, "PodDisruptionBudget")) == budgets


def test_every_selector_selects_the_pod_alone(render: Any) -> None:
    documents = render("replicas=2")
    deployment = of(documents, "Deployment")[0]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    selectors = [
        deployment["selector"]["matchLabels"],
        of(documents, "NetworkPolicy")[0]["spec"]["podSelector"]["matchLabels"],
        of(documents, "PodDisruptionBudget")[0]["spec"]["selector"]["matchLabels"],
    ]
    assert all(selector and selector.items() <= labels.items() for selector in selectors)
    assert labels["app.kubernetes.io/managed-by"] != "llmops-operator"


def test_only_the_metrics_port_is_open(render: Any) -> None:
    (policy,) = of(render(), "NetworkPolicy")
    assert policy["spec"]["ingress"] == [{"ports": [{"port": "metrics", "protocol": "TCP"}]}]


@pytest.mark.parametrize("value", ['scope="Namespaces"', "replica=2", 'images={"operator":"a b"}'])
def test_bad_values_are_refused_before_anything_is_rendered(render: Any, value: str) -> None:
    with pytest.raises(ValueError, match="values don't meet the specifications of the schema"):
        render(value)
