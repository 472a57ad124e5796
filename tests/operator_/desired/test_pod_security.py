"""Every pod of every golden plan passes Pod Security's profile `restricted` (Kubernetes, "Pod Security Standards")."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

Document = dict[str, Any]
DATA = Path(__file__).parents[2] / "data" / "plan"

POD_FORBIDDEN = (
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "hostUsers",
    "nodeName",
    "ephemeralContainers",
    "runtimeClassName",
)
VOLUME_TYPES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
CONTAINER_FORBIDDEN = ("privileged", "procMount", "seLinuxOptions", "windowsOptions", "appArmorProfile")


def _templates() -> Iterator[Any]:
    for path in sorted(DATA.glob("*.output.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if document and document["kind"] == "Deployment":
                yield pytest.param(document["spec"]["template"]["spec"], id=path.name.removesuffix(".output.yaml"))


PODS = tuple(_templates())


def containers(pod: Document) -> list[Document]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def effective(pod: Document, container: Document, field: str) -> Any:
    """A container's security setting, or the pod's where it has none."""
    return container.get("securityContext", {}).get(field, pod["securityContext"].get(field))


POD_RULES: dict[str, Callable[[Document], bool]] = {
    "no host namespaces": lambda pod: not any(field in pod for field in POD_FORBIDDEN),
    "no host paths": lambda pod: all(set(one) - {"name"} <= VOLUME_TYPES for one in pod["volumes"]),
    "no sysctls": lambda pod: "sysctls" not in pod["securityContext"],
    "not root": lambda pod: pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0,
    "seccomp": lambda pod: pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"},
    "no token": lambda pod: pod["automountServiceAccountToken"] is False,
    "no service environment": lambda pod: pod["enableServiceLinks"] is False,
    "own account": lambda pod: bool(pod["serviceAccountName"]),
}

CONTAINER_RULES: dict[str, Callable[[Document, Document], bool]] = {
    "no escalation": lambda pod, one: effective(pod, one, "allowPrivilegeEscalation") is False,
    "no capabilities": lambda pod, one: effective(pod, one, "capabilities") == {"drop": ["ALL"]},
    "not root": lambda pod, one: effective(pod, one, "runAsNonRoot") is True and effective(pod, one, "runAsUser") > 0,
    "seccomp": lambda pod, one: effective(pod, one, "seccompProfile") == {"type": "RuntimeDefault"},
    "read-only root": lambda pod, one: effective(pod, one, "readOnlyRootFilesystem") is True,
    "nothing special": lambda pod, one: not any(effective(pod, one, field) for field in CONTAINER_FORBIDDEN),
    "no host ports": lambda _, one: not any("hostPort" in port for port in one.get("ports", [])),
    "no host in probes": lambda _, one: "'host':" not in str(one),
    "memory has a limit": lambda _, one: one["name"] == "triton" or "memory" in one["resources"]["limits"],
}


@pytest.mark.parametrize("rule", POD_RULES.values(), ids=POD_RULES.keys())
@pytest.mark.parametrize("pod", PODS)
def test_a_pod_keeps_the_rule(pod: Document, rule: Callable[[Document], bool]) -> None:
    assert rule(pod)


@pytest.mark.parametrize("rule", CONTAINER_RULES.values(), ids=CONTAINER_RULES.keys())
@pytest.mark.parametrize("pod", PODS)
def test_every_container_keeps_the_rule(pod: Document, rule: Callable[[Document, Document], bool]) -> None:
    assert [one["name"] for one in containers(pod) if not rule(pod, one)] == []


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("no host namespaces", {"hostPID": True}),
        ("no host paths", {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}),
        ("no token", {"automountServiceAccountToken": True}),
        ("not root", {"securityContext": {"runAsNonRoot": True, "runAsUser": 0}}),
    ],
    ids=["host namespace", "host path", "token", "root"],
)
def test_the_rules_find_what_they_are_for(rule: str, change: Document) -> None:
    pod = PODS[0].values[0]
    assert not POD_RULES[rule](pod | change)


def test_only_the_fetching_container_and_the_front_door_hold_a_secret() -> None:
    found = {
        container["name"]
        for parameter in PODS
        for container in containers(parameter.values[0])
        for mount in container["volumeMounts"]
        if mount["name"] in {"credentials", "api-keys", "tls", "client-ca", "issuer-ca"}
    }
    assert found == {"fetch-model", "guard"}


def test_only_the_guard_holds_the_key_for_hashes() -> None:
    found = [
        (container["name"], mount)
        for parameter in PODS
        for container in containers(parameter.values[0])
        for mount in container["volumeMounts"]
        if mount["name"] == "hash-key"
    ]
    assert found == [("guard", {"name": "hash-key", "mountPath": "/etc/llmops-hash-key", "readOnly": True})]
