from __future__ import annotations

import ipaddress
import json
import tomllib

import pytest

from e2e.cluster import components, configuration, settings
from e2e.cluster import node_paths as paths
from e2e.cluster.components import Node
from e2e.cluster.errors import ClusterError
from e2e.cluster.programs import BUILDS

NODE = Node("node-1", 16443, "/cache/bin")
LINES = components.commands(NODE)


def test_containerd_uses_the_image_that_is_made_for_it_and_its_own_root() -> None:
    document = tomllib.loads(configuration.containerd())
    runtime = document["plugins"]["io.containerd.grpc.v1.cri"]
    assert runtime["sandbox_image"] == configuration.PAUSE_IMAGE
    assert document["root"].startswith(f"{paths.HOME}/")
    assert document["grpc"]["address"] == str(paths.CONTAINERD_SOCKET)


def test_pods_get_addresses_of_the_pod_range_from_one_bridge() -> None:
    document = json.loads(configuration.pod_network())
    bridge, ports = document["plugins"]
    assert bridge["ipam"]["ranges"] == [[{"subnet": settings.POD_RANGE}]]
    assert ports["type"] == "portmap"


def test_the_kubelet_leaves_the_machine_as_it_is_and_never_collects_an_image() -> None:
    document = json.loads(configuration.kubelet("node-1"))
    assert document["cgroupRoot"] == "/node-1"
    assert document["oomScoreAdj"] == 0
    assert document["imageGCHighThresholdPercent"] == 100
    assert document["authentication"]["anonymous"]["enabled"] is False


def test_names_outside_the_cluster_are_refused_at_once() -> None:
    text = configuration.corefile()
    assert "rcode NXDOMAIN" in text.split("\n. {")[1]
    assert text.count("{") == text.count("}")


def test_every_file_has_a_program_that_reads_it() -> None:
    lines = " ".join(word for line in LINES.values() for word in line)
    named_by_others = {"cni/10-bridge.conflist", "kubelet-resolv.conf"}
    for name in configuration.files("node-1").keys() - named_by_others:
        assert f"{paths.CONFIGURATION}/{name}" in lines
    assert "kubelet-resolv.conf" in configuration.kubelet("node-1")


def test_the_node_knows_itself_and_the_cluster_dns() -> None:
    assert configuration.hosts("node-1").splitlines()[1] == f"{settings.NODE_ADDRESS} node-1"
    assert configuration.resolver().startswith(f"nameserver {settings.DNS_ADDRESS}\n")


def test_the_addresses_lie_in_their_ranges_and_the_ranges_apart() -> None:
    services, pods = (ipaddress.ip_network(text) for text in (settings.SERVICE_RANGE, settings.POD_RANGE))
    fake = ipaddress.ip_interface(settings.FAKE_POD_RANGE).network
    assert ipaddress.ip_address(settings.DNS_ADDRESS) in services
    assert ipaddress.ip_address(settings.API_ADDRESS) in services
    assert not services.overlaps(pods)
    assert not fake.overlaps(pods)
    assert ipaddress.ip_address(settings.NODE_ADDRESS) not in fake


def test_every_component_is_a_program_that_is_built() -> None:
    built = {name for build in BUILDS for name in (*build.files, *build.links)}
    assert {line[0].removeprefix("/cache/bin/") for line in LINES.values()} <= built


@pytest.mark.parametrize(
    ("component", "flag"),
    [
        ("kube-apiserver", "--secure-port=16443"),
        ("kube-apiserver", "--enable-admission-plugins=NodeRestriction,ExtendedResourceToleration"),
        ("kubelet", "--hostname-override=node-1"),
        ("kube-proxy", "--conntrack-max-per-core=0"),
        ("kwok", "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake"),
        ("kube-scheduler", "--kubeconfig=/run/llmops/scheduler.kubeconfig"),
    ],
)
def test_a_component_is_started_with(component: str, flag: str) -> None:
    assert flag in LINES[component]


def test_an_unknown_component_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ClusterError, match="no component is called 'apiserver': there are containerd, etcd, "):
        components.start(NODE, "apiserver")
    with pytest.raises(ClusterError, match="no component is called 'apiserver'"):
        components.stop(NODE, "apiserver")


@pytest.mark.parametrize(("name", "number"), [("TERM", 15), ("sigkill", 9), ("STOP", 19)])
def test_a_signal_is_known_by_its_names(name: str, number: int) -> None:
    assert components.signal_number(name) == number


def test_an_unknown_signal_is_refused() -> None:
    with pytest.raises(ClusterError, match="no signal is called 'HALT'"):
        components.signal_number("HALT")
