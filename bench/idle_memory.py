"""The memory of operator, guard and cache in their pods, at rest, as the kubelet accounts it (its summary API)."""

from __future__ import annotations

import json
import secrets

from bench.report import Goal, write
from e2e.kit.environment import Environment
from e2e.kit.install import NAMESPACE as OPERATOR_NAMESPACE
from e2e.kit.kube import Kube, is_true
from e2e.kit.samples import quickstart
from e2e.kit.wait import until

MEBIBYTE = 1024 * 1024
GOALS = {"operator": 120, "guard": 90, "cache": 90}
NAME = "chat"


def measure(kube: Kube, environment: Environment) -> None:
    """Serve the quickstart, wait until the kubelet has figures of every container, and write them."""
    with kube.namespace(f"bench-{secrets.token_hex(3)}") as namespace:
        for document in quickstart(namespace, environment.images):
            kube.apply(document)
        until("Ready", lambda: is_true(kube.get("LLMDeployment", NAME, namespace), "Ready"), 60)
        figures = until("figures of every container", lambda: _figures(kube, namespace), 60)
    goals = [
        Goal(f"idle memory of the {name}", round(figures[name], 1), "MiB", f"<= {most}") for name, most in GOALS.items()
    ]
    write("idle-memory", {"resident_mib": figures}, goals)


def _figures(kube: Kube, namespace: str) -> dict[str, float] | None:
    """Resident memory in MiB by container name; None until all have one."""
    found: dict[str, float] = {}
    for node in kube.list("Node"):
        if "kwok.x-k8s.io/node" in node["metadata"].get("annotations", {}):
            continue
        summary = json.loads(kube.raw(f"api/v1/nodes/{node['metadata']['name']}/proxy/stats/summary"))
        for pod in summary["pods"]:
            if pod["podRef"]["namespace"] in (namespace, OPERATOR_NAMESPACE):
                found |= {one["name"]: one["memory"].get("rssBytes", 0) / MEBIBYTE for one in pod.get("containers", [])}
    return found if all(found.get(name) for name in GOALS) else None
