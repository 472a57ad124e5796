from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from e2e.cluster import nodes
from e2e.cluster.nodes import A100, H200

NODES = list(nodes.fake_nodes())


def test_each_zone_of_two_regions_has_a_node_of_h200() -> None:
    places = [(node.region, node.zone) for node in NODES if node.product is H200]
    assert Counter(region for region, _ in places) == {"eu-west-1": 3, "us-east-1": 3}
    assert len(set(places)) == 6
    assert all(zone.startswith(region) for region, zone in places)


def test_one_node_has_another_product() -> None:
    assert [(node.region, node.name) for node in NODES if node.product is A100] == [
        ("us-east-1", "gpu-a100-us-east-1a")
    ]


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_a_node_is_labelled_as_gpu_feature_discovery_does(node: nodes.FakeNode) -> None:
    document = nodes.document(node)
    labels = document["metadata"]["labels"]
    assert labels["nvidia.com/gpu.product"] == node.product.name
    assert labels["nvidia.com/gpu.memory"] == str(node.product.memory)
    assert labels["topology.kubernetes.io/region"] == node.region
    assert labels["topology.kubernetes.io/zone"] == node.zone
    assert labels["kubernetes.io/hostname"] == document["metadata"]["name"] == node.name


def test_a_node_takes_only_pods_that_ask_for_gpus_and_is_kwoks() -> None:
    document = nodes.document(NODES[0])
    assert document["spec"]["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
    assert document["metadata"]["annotations"] == {"kwok.x-k8s.io/node": "fake"}


def _listed(name: str, *, ready: bool, **labels: str) -> dict[str, Any]:
    conditions = [{"type": "MemoryPressure", "status": "True"}, {"type": "Ready", "status": str(ready)}]
    return {"metadata": {"name": name, "labels": labels}, "status": {"conditions": conditions}}


def test_the_table_is_aligned_and_leaves_out_what_a_node_has_not() -> None:
    gpu = _listed("gpu-1", ready=True, **nodes.document(NODES[0])["metadata"]["labels"])
    gpu["status"] |= nodes.capacity()
    lines = nodes.table([gpu, _listed("a", ready=False)]).splitlines()
    assert lines == [
        "NAME   READY  REGION     ZONE        GPUS  PRODUCT",
        "gpu-1  True   eu-west-1  eu-west-1a  8     NVIDIA-H200",
        "a      False                         0",
    ]
