"""Fake nodes with GPUs in two regions, kept alive by KWOK: pods are scheduled to them for real, then pretend to run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from e2e.cluster.api import Api, Document
from e2e.cluster.components import FAKE_ANNOTATION

NODES = "/api/v1/nodes"
REGIONS = ("eu-west-1", "us-east-1")
ZONES = ("a", "b", "c")
GPUS = 8
LABEL = "llmops.dev/fake-node"


@dataclass(frozen=True)
class Product:
    """A GPU as NVIDIA's GPU feature discovery labels it; `memory` in MiB."""

    name: str
    memory: int


H200 = Product("NVIDIA-H200", 143771)
A100 = Product("NVIDIA-A100-SXM4-80GB", 81920)


@dataclass(frozen=True)
class FakeNode:
    """One node of eight GPUs."""

    name: str
    region: str
    zone: str
    product: Product


def fake_nodes() -> Iterator[FakeNode]:
    """One node of H200 in each zone, and one of A100 in the last region's first."""
    for region in REGIONS:
        for letter in ZONES:
            yield FakeNode(f"gpu-{region}{letter}", region, region + letter, H200)
    yield FakeNode(f"gpu-a100-{REGIONS[-1]}{ZONES[0]}", REGIONS[-1], REGIONS[-1] + ZONES[0], A100)


def document(node: FakeNode) -> Document:
    """The Node. Its taint is the usual one of GPU nodes: pods that ask for GPUs get the toleration on admission."""
    labels = {
        LABEL: "true",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
        "nvidia.com/gpu.count": str(GPUS),
        "nvidia.com/gpu.memory": str(node.product.memory),
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": node.product.name,
        "topology.kubernetes.io/region": node.region,
        "topology.kubernetes.io/zone": node.zone,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": labels, "annotations": {FAKE_ANNOTATION: "fake"}},
        "spec": {"taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]},
    }


def capacity() -> Document:
    """What the node offers, as its status says it."""
    resources = {"cpu": "192", "memory": "2Ti", "ephemeral-storage": "4Ti", "pods": "110", "nvidia.com/gpu": str(GPUS)}
    return {"capacity": resources, "allocatable": resources}


def apply(api: Api) -> None:
    """Make the fake nodes, or put them back as they should be."""
    for node in fake_nodes():
        wanted, path = document(node), f"{NODES}/{node.name}"
        identity = {key: wanted[key] for key in ("apiVersion", "kind")} | {"metadata": {"name": node.name}}
        api.apply(path, wanted)
        api.apply(f"{path}/status", {**identity, "status": capacity()})


def ready(api: Api) -> bool:
    """Whether every node there is is Ready, the fake ones and the real one."""
    items = (api.get(NODES) or {}).get("items", [])
    return len(items) == 1 + sum(1 for _ in fake_nodes()) and all(map(is_ready, items))


def is_ready(node: Document) -> bool:
    """Whether a node's condition Ready is true."""
    conditions = node.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def table(items: list[Document]) -> str:
    """The nodes as a person wants to read them, one a line."""
    rows = [("NAME", "READY", "REGION", "ZONE", "GPUS", "PRODUCT"), *map(_row, items)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _row(node: Document) -> tuple[str, ...]:
    labels, resources = node["metadata"].get("labels", {}), node["status"].get("allocatable", {})
    region, zone = (labels.get(f"topology.kubernetes.io/{name}", "") for name in ("region", "zone"))
    state = "True" if is_ready(node) else "False"
    gpus, product = resources.get("nvidia.com/gpu", "0"), labels.get("nvidia.com/gpu.product", "")
    return (node["metadata"]["name"], state, region, zone, gpus, product)
