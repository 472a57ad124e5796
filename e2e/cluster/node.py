"""The first process of the sandbox: makes a node of new namespaces, starts everything, then reaps orphans for ever.

Run by `up` only, as `python3 -m e2e.cluster.node STATE NAME PORT PROGRAMS IMAGE LISTENER`. What it says goes to
node.log; the files in `reached` tell `up` how far it is. There is no way out to a network from here.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

from e2e.cluster import api, cgroups, components, configuration, nodes, pki, processes
from e2e.cluster import node_paths as paths
from e2e.cluster.components import Node
from e2e.cluster.errors import ClusterError
from e2e.cluster.settings import DNS_ADDRESS, NODE_ADDRESS

FOREIGN_SETTINGS = {"vm/overcommit_memory": "1", "kernel/panic": "10", "kernel/panic_on_oops": "1"}
"""What the kubelet wants these to be. They are the whole machine's: it is shown files that hold its values already."""

DIRECTORIES = ("log", "reached", "processes", "configuration/cni", "kubelet", "etcd")
SYSTEM = "/api/v1/namespaces/kube-system/services/kube-dns"
SLICE = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns"
WAIT = 120.0


def main(arguments: list[str]) -> None:
    """Bring the node up; the end of this process is the end of the node."""
    state, name, port, programs, image, listener = arguments
    node = Node(name, int(port), programs)
    make_file_system(Path(state), name)
    make_network()
    cgroups.create(name)
    write_configuration(name)
    for component in ("containerd", "etcd"):
        components.start(node, component)
    relay(int(listener), node.port)
    importing = threading.Thread(target=import_image, args=(image,))
    importing.start()
    make_credentials(node)
    reached("credentials")
    start_control_plane(node)
    importing.join()
    client = api.connect(paths.kubeconfig("admin"))
    start_rest(node, client)
    reached("ready")
    reap_for_ever()


def make_file_system(state: Path, name: str) -> None:
    """Writes outside the state directory go to memory and die with the sandbox."""
    run("hostname", name)
    run("mount", "--make-rshared", "/")
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    for directory in (paths.HOME, Path("/run/netns"), Path("/run/lock")):
        directory.mkdir(parents=True)
    run("mount", "--bind", str(state), str(paths.HOME))
    for layer in ("/etc", "/var"):
        above, work = Path(f"/run/layers{layer}/upper"), Path(f"/run/layers{layer}/work")
        above.mkdir(parents=True)
        work.mkdir()
        run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={layer},upperdir={above},workdir={work}", layer)
    for name_of_it in DIRECTORIES:
        (paths.HOME / name_of_it).mkdir(parents=True, exist_ok=True)
    for name_of_it, text in (("hosts", configuration.hosts(name)), ("resolv.conf", configuration.resolver())):
        target = Path("/etc") / name_of_it
        target.unlink(missing_ok=True)  # it may be a link out of /etc
        target.write_text(text)
    for setting, value in FOREIGN_SETTINGS.items():
        shown = paths.CONFIGURATION / setting.replace("/", "-")
        shown.write_text(value + "\n")
        run("mount", "--bind", str(shown), f"/proc/sys/{setting}")


def make_network() -> None:
    """Loopback and a pair of interfaces, both ends inside; the default route makes Services' addresses routable."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0-peer")
    run("ip", "address", "add", f"{NODE_ADDRESS}/24", "dev", "eth0")
    run("ip", "link", "set", "eth0", "up")
    run("ip", "link", "set", "eth0-peer", "up")
    run("ip", "route", "add", "default", "dev", "eth0")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def write_configuration(name: str) -> None:
    """The programs' configuration files."""
    for file, text in configuration.files(name).items():
        (paths.CONFIGURATION / file).write_text(text)


def make_credentials(node: Node) -> None:
    """Certificates, and a kubeconfig for everyone."""
    pki.make(paths.PKI, node.name)
    for user in pki.users(node.name):
        paths.kubeconfig(user.name).write_text(pki.kubeconfig(paths.PKI, user.name, node.port))
        paths.kubeconfig(user.name).chmod(0o600)


def relay(listener: int, port: int) -> None:
    """Carry the API server's port in from outside, where `listener` was opened."""
    command = [sys.executable, "-m", "e2e.cluster.relay", str(listener), f"127.0.0.1:{port}"]
    subprocess.Popen(command, pass_fds=(listener,), stdin=subprocess.DEVNULL, start_new_session=True)
    os.close(listener)


def import_image(archive: str) -> None:
    """Import the pause image, without which no pod starts, as soon as containerd listens."""
    wait("containerd", paths.CONTAINERD_SOCKET.is_socket)
    run("ctr", "-n", "k8s.io", "images", "import", archive)
    reached("images")


def start_control_plane(node: Node) -> None:
    """Start the API server, and when it is ready what follows it."""
    components.start(node, "kube-apiserver")
    client = api.connect(paths.kubeconfig("admin"))
    wait("API server", lambda: client.text("/readyz") is not None)
    reached("api-server")
    for component in ("kube-controller-manager", "kube-scheduler"):
        components.start(node, component)


def start_rest(node: Node, client: api.Api) -> None:
    """Start what makes this a node and the cluster a whole one; returns when it is usable."""
    for component in ("kubelet", "kube-proxy", "coredns", "kwok"):
        components.start(node, component)
    apply_dns(client)
    nodes.apply(client)
    wait(
        "default service account", lambda: client.get("/api/v1/namespaces/default/serviceaccounts/default") is not None
    )
    wait("ready nodes", lambda: nodes.ready(client))
    wait("cluster DNS", dns_answers)


def apply_dns(client: api.Api) -> None:
    """A Service whose one endpoint is CoreDNS on the node."""
    ports = [{"name": name, "port": 53, "protocol": name.upper()} for name in ("udp", "tcp")]
    metadata = {"name": "kube-dns", "namespace": "kube-system"}
    service = {"clusterIP": DNS_ADDRESS, "ports": ports}
    client.apply(SYSTEM, {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service})
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": "kube-dns"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [NODE_ADDRESS]}],
        "ports": ports,
    }
    client.apply(SLICE, endpoints)


def dns_answers() -> bool:
    """Whether cluster DNS knows the Services, and answers at its Service address (so kube-proxy's rules are there)."""
    try:
        socket.create_connection((DNS_ADDRESS, 53), timeout=0.2).close()
        with urllib.request.urlopen(f"http://{NODE_ADDRESS}:8181/ready", timeout=1) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def wait(what: str, condition: Callable[[], bool]) -> None:
    """Wait for it; raises ClusterError when it takes too long or a component has ended meanwhile."""
    start = time.monotonic()

    def over() -> bool:
        return bool(components.ended()) or condition()

    if not processes.wait_until(WAIT, over):
        raise ClusterError(f"no {what} within {WAIT:.0f} s")
    if components.ended():
        raise ClusterError(f"{', '.join(components.ended())} ended before there was: {what}")
    print(f"{what} after {time.monotonic() - start:.2f} s", flush=True)


def reached(stage: str) -> None:
    """Tell `up` how far this is."""
    (paths.REACHED / stage).touch()


def run(*command: str) -> None:
    """Run a command that must succeed; what it says is in the log."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def reap_for_ever() -> None:
    """What a first process is for."""
    while True:
        with suppress(ChildProcessError):
            os.wait()
            continue
        time.sleep(1.0)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ClusterError as error:
        sys.exit(f"error: {error}")
