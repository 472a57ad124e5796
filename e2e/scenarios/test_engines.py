"""Engines and model sources on a real scheduler and kubelet: GPU ones up to their node, CPU ones until they serve."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.kit.environment import Environment
from e2e.kit.kube import Document, Kube, documents, is_true
from e2e.kit.samples import deployment
from e2e.kit.service import ask, client, reach
from e2e.kit.wait import until

pytestmark = pytest.mark.cluster
EXAMPLES = Path(__file__).parents[2] / "examples"
FAKE_NODE = "kwok.x-k8s.io/node"


@pytest.fixture(scope="module")
def gpu_nodes(kube: Kube) -> list[Document]:
    """The nodes that have GPUs; on the embedded cluster KWOK plays them."""
    found = [node for node in kube.list("Node") if "nvidia.com/gpu" in node["status"].get("allocatable", {})]
    assert found, "the cluster has no node with nvidia.com/gpu"
    return found


@pytest.fixture
def applied(kube: Kube, namespace: str) -> Iterator[Any]:
    """A function that applies an LLMDeployment, which is deleted at the end of the test."""
    names: list[str] = []

    def apply(document: Document) -> str:
        document["metadata"]["namespace"] = namespace
        names.append(document["metadata"]["name"])
        kube.apply(document)
        return names[-1]

    yield apply
    for name in names:
        kube.delete("LLMDeployment", name, namespace)
    for name in names:
        until(f"{name}'s pods gone", lambda name=name: not pods(kube, namespace, name), 90)  # type: ignore[misc]


def pods(kube: Kube, namespace: str, name: str) -> list[Document]:
    return kube.list("Pod", namespace, f"app.kubernetes.io/instance={name}")


def example(name: str) -> Document:
    return next(one for one in documents(EXAMPLES / name) if one["kind"] == "LLMDeployment")


@pytest.mark.parametrize("name", ["tensorrt-llm.yaml", "vllm.yaml", "volume.yaml"])
def test_a_gpu_engine_is_scheduled_onto_a_gpu_node(
    kube: Kube, namespace: str, applied: Any, gpu_nodes: list[Document], name: str
) -> None:
    document = example(name)
    tolerations = document["spec"].setdefault("scheduling", {}).setdefault("tolerations", [])
    tolerations.append({"key": FAKE_NODE, "operator": "Exists", "effect": "NoSchedule"})
    deployed = applied(document)
    claim(kube, namespace, document)
    pod = until(
        "a pod on a node",
        lambda: next((one for one in pods(kube, namespace, deployed) if one["spec"].get("nodeName")), None),
        30,
    )
    by_name = {node["metadata"]["name"]: node for node in gpu_nodes}
    assert pod["spec"]["nodeName"] in by_name
    products = document["spec"]["resources"].get("gpuProducts")
    if products:
        assert by_name[pod["spec"]["nodeName"]]["metadata"]["labels"]["nvidia.com/gpu.product"] in products


def test_more_gpus_than_any_node_has_is_told_in_the_status(kube: Kube, namespace: str, applied: Any) -> None:
    document = example("tensorrt-llm.yaml")
    document["metadata"]["name"] = "too-big"
    document["spec"]["resources"]["gpus"] = 64
    document["spec"]["engine"] = {"tensorRTLLM": {"tensorParallelSize": 64}}
    deployed = applied(document)
    until("the scheduler's words in the status", lambda: "nvidia.com/gpu" in told(kube, namespace, deployed), 30)


def test_a_model_in_an_image_volume_is_served(
    kube: Kube, namespace: str, environment: Environment, applied: Any
) -> None:
    engine = {"modelRepository": {"image": environment.images["triton-cpu"]}}
    source = {"image": {"reference": environment.images["model-data"], "pullPolicy": "IfNotPresent"}}
    document = deployment(namespace, environment.images, "from-image")
    document["spec"] |= {"engine": engine, "model": {"name": "support-chat", "source": source}}
    deployed = applied(document)
    until("Ready", lambda: is_true(kube.get("LLMDeployment", deployed, namespace), "Ready"), 60)
    (pod,) = pods(kube, namespace, deployed)
    assert any("image" in volume for volume in pod["spec"]["volumes"])
    with reach(environment, namespace, deployed) as url:
        assert "image of its own" in ask(client(url), "Our company", max_tokens=20)


@pytest.mark.parametrize(
    "engine",
    [
        {"path": "/models-ensemble", "model": "ensemble", "interface": "Ensemble"},
        {"path": "/models-vllm", "model": "vllm_model", "interface": "VLLM", "protocol": "HTTP"},
    ],
    ids=["ensemble", "vllm"],
)
def test_a_model_of_another_interface_is_served(
    kube: Kube, namespace: str, environment: Environment, applied: Any, engine: Document
) -> None:
    document = deployment(namespace, environment.images, f"by-{engine['interface'].lower()}")
    document["spec"]["engine"]["modelRepository"] |= engine
    deployed = applied(document)
    until("Ready", lambda: is_true(kube.get("LLMDeployment", deployed, namespace), "Ready"), 90)
    with reach(environment, namespace, deployed) as url:
        assert ask(client(url), "Repeat after me: one two", max_tokens=20) == " one two"


def test_a_benchmark_needs_no_engine_and_says_that_it_is_one(
    kube: Kube, namespace: str, environment: Environment, applied: Any
) -> None:
    document = deployment(namespace, environment.images, "path")
    document["spec"]["engine"] = {"benchmark": {"tokens": 30}}
    deployed = applied(document)
    until("Ready", lambda: is_true(kube.get("LLMDeployment", deployed, namespace), "Ready"), 60)
    assert is_true(kube.get("LLMDeployment", deployed, namespace), "Benchmark")
    with reach(environment, namespace, deployed) as url:
        assert ask(client(url), "Who are you?").startswith("This is the benchmark engine, not a model.")


def told(kube: Kube, namespace: str, name: str) -> str:
    """All condition messages of an LLMDeployment."""
    document = kube.get("LLMDeployment", name, namespace) or {}
    return " ".join(one["message"] for one in document.get("status", {}).get("conditions", []))


def claim(kube: Kube, namespace: str, document: Document) -> None:
    """The volume that a `volume` source names, bound to a directory of the node."""
    volume = document["spec"]["model"]["source"].get("volume")
    if volume is None:
        return
    name = volume["claimName"]
    kube.kubectl("apply", "-f", "-", stdin=VOLUME.format(name=name, namespace=namespace))


VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {namespace}-{name}}}
spec:
  capacity: {{storage: 1Gi}}
  accessModes: [ReadOnlyMany]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: ""
  hostPath: {{path: /var/models, type: DirectoryOrCreate}}
  claimRef: {{name: {name}, namespace: {namespace}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  accessModes: [ReadOnlyMany]
  storageClassName: ""
  volumeName: {namespace}-{name}
  resources: {{requests: {{storage: 1Gi}}}}
"""
