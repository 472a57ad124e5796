"""The node's processes: their command lines, and starting and stopping one by name."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass

from e2e.cluster import node_paths as paths
from e2e.cluster import processes
from e2e.cluster.errors import ClusterError
from e2e.cluster.processes import Process
from e2e.cluster.settings import FAKE_POD_RANGE, NODE_ADDRESS, POD_RANGE, SERVICE_RANGE

REAL_REGION, REAL_ZONE = "eu-west-1", "eu-west-1a"
FAKE_ANNOTATION = "kwok.x-k8s.io/node"
STOP_SECONDS = 20


@dataclass(frozen=True)
class Node:
    """What the command lines depend on."""

    name: str
    port: int
    programs: str


def commands(node: Node) -> dict[str, list[str]]:
    """The command line of every component, by name, in the order of a start."""
    lines = {
        "containerd": ["containerd", "-c", f"{paths.CONFIGURATION}/containerd.toml"],
        "etcd": _etcd(),
        "kube-apiserver": _api_server(node),
        "kube-controller-manager": _controller_manager(),
        "kube-scheduler": ["kube-scheduler", f"--kubeconfig={paths.kubeconfig('scheduler')}", "--leader-elect=false"],
        "kubelet": _kubelet(node),
        "kube-proxy": _proxy(node),
        "coredns": ["coredns", "-conf", f"{paths.CONFIGURATION}/Corefile"],
        "kwok": _kwok(node),
    }
    return {name: [f"{node.programs}/{line[0]}", *line[1:]] for name, line in lines.items()}


def start(node: Node, name: str) -> None:
    """Start a component, or let a paused one go on; nothing to do when it runs. Raises ClusterError."""
    line = _line(node, name)
    known = _recorded(name)
    if known is not None and known.alive():
        known.send(signal.SIGCONT)
        return
    paths.PROCESSES.mkdir(exist_ok=True)
    with (paths.LOG / f"{name}.log").open("ab") as log:
        started = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    (paths.PROCESSES / name).write_text(json.dumps(asdict(processes.of(started.pid))))


def stop(node: Node, name: str, number: signal.Signals = signal.SIGTERM) -> None:
    """Send a signal to a component and wait for what it does: its end, or for SIGSTOP its pause."""
    _line(node, name)
    running = _recorded(name)
    if running is None or not running.alive():
        return
    running.send(number)
    done = running.paused if number is signal.SIGSTOP else lambda: not running.alive()
    if not processes.wait_until(STOP_SECONDS, done):
        raise ClusterError(f"{name} still runs {STOP_SECONDS} s after {number.name}")


def ended() -> list[str]:
    """The components that were started and run no more."""
    names = sorted(path.name for path in paths.PROCESSES.glob("*"))
    return [name for name in names if (known := _recorded(name)) and not known.alive()]


def _line(node: Node, name: str) -> list[str]:
    known = commands(node)
    if name not in known:
        raise ClusterError(f"no component is called {name!r}: there are {', '.join(known)}")
    return known[name]


def _recorded(name: str) -> Process | None:
    """The process that was last started under this name; pids are the sandbox's own."""
    try:
        return Process(**json.loads((paths.PROCESSES / name).read_text()))
    except FileNotFoundError:
        return None


def _etcd() -> list[str]:
    client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
    flags = [f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}"]
    return ["etcd", f"--data-dir={paths.HOME}/etcd", "--unsafe-no-fsync", *flags]


def _api_server(node: Node) -> list[str]:
    pki = paths.PKI
    return [
        "kube-apiserver",
        "--etcd-servers=http://127.0.0.1:2379",
        f"--secure-port={node.port}",
        "--bind-address=0.0.0.0",
        f"--advertise-address={NODE_ADDRESS}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction,ExtendedResourceToleration",
        "--allow-privileged=true",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/service-accounts.pub",
        f"--service-account-signing-key-file={pki}/service-accounts.key",
        f"--kubelet-client-certificate={pki}/admin.crt",
        f"--kubelet-client-key={pki}/admin.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        f"--requestheader-client-ca-file={pki}/front-ca.crt",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki}/front-proxy.crt",
        f"--proxy-client-key-file={pki}/front-proxy.key",
        "--enable-aggregator-routing=true",
    ]


def _controller_manager() -> list[str]:
    pki = paths.PKI
    return [
        "kube-controller-manager",
        f"--kubeconfig={paths.kubeconfig('controller-manager')}",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki}/service-accounts.key",
        f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        "--allocate-node-cidrs=false",
        "--kube-api-qps=200",  # the default makes its start, a service account for each controller, 4 s longer
        "--kube-api-burst=400",
        "--horizontal-pod-autoscaler-sync-period=2s",
        "--horizontal-pod-autoscaler-downscale-stabilization=10s",
        "--horizontal-pod-autoscaler-cpu-initialization-period=10s",
        "--horizontal-pod-autoscaler-initial-readiness-delay=5s",
    ]


def _kubelet(node: Node) -> list[str]:
    labels = f"topology.kubernetes.io/region={REAL_REGION},topology.kubernetes.io/zone={REAL_ZONE}"
    return [
        "kubelet",
        f"--config={paths.CONFIGURATION}/kubelet.json",
        f"--kubeconfig={paths.kubeconfig('node')}",
        f"--root-dir={paths.KUBELET}",
        f"--cert-dir={paths.KUBELET}/pki",
        f"--hostname-override={node.name}",
        f"--node-ip={NODE_ADDRESS}",
        f"--node-labels={labels}",
    ]


def _proxy(node: Node) -> list[str]:
    return [
        "kube-proxy",
        f"--kubeconfig={paths.kubeconfig('proxy')}",
        f"--hostname-override={node.name}",
        f"--cluster-cidr={POD_RANGE}",
        "--proxy-mode=iptables",
        "--iptables-min-sync-period=100ms",  # the default, 1 s, is long for a test that calls a Service just rolled out
        "--conntrack-max-per-core=0",  # 0: these four belong to the whole machine and stay as they are
        "--conntrack-min=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
    ]


def _kwok(node: Node) -> list[str]:
    return [
        "kwok",
        f"--config={node.programs}/kwok-stages.yaml",
        f"--kubeconfig={paths.kubeconfig('admin')}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={FAKE_ANNOTATION}=fake",
        "--node-lease-duration-seconds=40",
        f"--node-ip={NODE_ADDRESS}",
        f"--cidr={FAKE_POD_RANGE}",
        f"--server-address={NODE_ADDRESS}:10247",
    ]


def main(arguments: list[str]) -> None:
    """`NAME PORT PROGRAMS start|stop COMPONENT SIGNAL`, run inside; a ClusterError becomes one line."""
    name, port, programs, verb, component, signal_name = arguments
    node = Node(name, int(port), programs)
    try:
        if verb == "start":
            start(node, component)
        else:
            stop(node, component, signal_number(signal_name))
    except ClusterError as error:
        raise SystemExit(str(error)) from None


def signal_number(name: str) -> signal.Signals:
    """The signal of a name such as TERM or SIGTERM; raises ClusterError."""
    try:
        return signal.Signals[f"SIG{name.upper().removeprefix('SIG')}"]
    except KeyError:
        raise ClusterError(f"no signal is called {name!r}") from None


if __name__ == "__main__":
    main(sys.argv[1:])
