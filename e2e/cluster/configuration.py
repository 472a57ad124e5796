"""The configuration files of the node's programs: pure functions to text. JSON stands for YAML, which includes it."""

from __future__ import annotations

import json

from e2e.cluster import node_paths as paths
from e2e.cluster.settings import DNS_ADDRESS, NODE_ADDRESS, POD_RANGE

PAUSE_IMAGE = "localhost/llmops-pause:1"


def files(node: str) -> dict[str, str]:
    """All of them by name, for the directory of configuration."""
    return {
        "containerd.toml": containerd(),
        "cni/10-bridge.conflist": pod_network(),
        "kubelet.json": kubelet(node),
        "kubelet-resolv.conf": f"nameserver {NODE_ADDRESS}\n",
        "Corefile": corefile(),
    }


def containerd() -> str:
    """The container runtime: its own root, no AppArmor, runc, cgroups without systemd."""
    return f"""\
version = 2
root = "{paths.HOME}/containerd"
state = "/run/containerd"
oom_score = 0

[grpc]
  address = "{paths.CONTAINERD_SOCKET}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{paths.HOME}/containerd-opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # Lowering a score needs CAP_SYS_RESOURCE, without which no pod would start.
  restrict_oom_score_adj = true
  disable_apparmor = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{paths.CONFIGURATION}/cni"
"""


def pod_network() -> str:
    """One bridge for the node's pods; addresses are leased from files."""
    addresses = {
        "type": "host-local",
        "dataDir": f"{paths.HOME}/addresses",
        "ranges": [[{"subnet": POD_RANGE}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "pods0", "isGateway": True, "ipMasq": False, "hairpinMode": True}
    plugins = [{**bridge, "ipam": addresses}, {"type": "portmap", "capabilities": {"portMappings": True}}]
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}, indent=1)


def kubelet(node: str) -> str:
    """The kubelet. Several values keep it from changing what belongs to the whole machine, or needs a capability."""
    document = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node}",
        "failCgroupV1": False,  # the default refuses version 1 since Kubernetes 1.35
        "oomScoreAdj": 0,  # lowering it needs CAP_SYS_RESOURCE
        "maxOpenFiles": 20000,  # raising the limit needs it too
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{paths.CONTAINERD_SOCKET}",
        "resolvConf": f"{paths.CONFIGURATION}/kubelet-resolv.conf",
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{paths.PKI}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{paths.PKI}/kubelet.crt",
        "tlsPrivateKeyFile": f"{paths.PKI}/kubelet.key",
        "volumePluginDir": f"{paths.KUBELET}/volume-plugins",
        "podLogsDir": f"{paths.LOG}/pods",
        "imageGCHighThresholdPercent": 100,  # an image that is collected cannot be pulled again
        "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%", "memory.available": "100Mi"},
        "nodeStatusUpdateFrequency": "4s",
        "syncFrequency": "5s",
    }
    return json.dumps(document, indent=1)


def corefile() -> str:
    """Cluster DNS. Any other name gets NXDOMAIN at once: the node has no way out, and a time-out is slow."""
    return f"""\
cluster.local in-addr.arpa {{
    bind {NODE_ADDRESS}
    errors
    ready {NODE_ADDRESS}:8181
    kubernetes {{
        kubeconfig {paths.kubeconfig("admin")}
        pods insecure
        ttl 5
    }}
}}
. {{
    bind {NODE_ADDRESS}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def hosts(node: str) -> str:
    """The node's /etc/hosts."""
    return f"127.0.0.1 localhost\n{NODE_ADDRESS} {node}\n"


def resolver() -> str:
    """The node's /etc/resolv.conf: what runs there resolves `name.namespace` of Services."""
    return f"nameserver {DNS_ADDRESS}\nsearch svc.cluster.local cluster.local\noptions ndots:3 timeout:2\n"
