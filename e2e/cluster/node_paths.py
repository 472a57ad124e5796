"""Where the node finds its own: inside, the state directory is mounted at one short path, the same in every cluster.

Short, because a Unix socket's path holds at most 107 characters and the kubelet puts some below its own directory.
"""

from __future__ import annotations

from pathlib import Path

HOME = Path("/run/llmops")
PKI = HOME / "pki"
LOG = HOME / "log"
PROCESSES = HOME / "processes"
CONFIGURATION = HOME / "configuration"
REACHED = HOME / "reached"
KUBELET = HOME / "kubelet"
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")


def kubeconfig(user: str) -> Path:
    """The kubeconfig of a component."""
    return HOME / f"{user}.kubeconfig"
