"""The cluster from outside: up, down, and everything that reaches into it. Each verb needs root."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import build, cgroups, locks, node_paths, pause, processes, progress, requirements, state
from e2e.cluster.errors import ClusterError
from e2e.cluster.processes import Process
from e2e.cluster.settings import ROOT, Settings
from e2e.cluster.state import State

AWAITED = {"": "first processes", "credentials": "API server", "api-server": "nodes and DNS", "ready": ""}
"""What the node is busy with after each stage that it reaches."""

UP_SECONDS = 300.0
DOWN_SECONDS = 30.0
LOG_LINES = 5
NODE = "e2e.cluster.node"
NAMESPACES = ("net", "mount", "pid", "uts", "ipc")
ENTER = Path(__file__).parent / "enter.py"


def up(settings: Settings) -> State:
    """Start the cluster unless it runs; returns when it is usable. Raises ClusterError, with nothing left running."""
    requirements.require_root("the embedded cluster")
    cgroups.version()
    build.ensure(settings)
    requirements.ensure(requirements.CLUSTER)
    requirements.load_modules()
    image = pause.ensure(settings)
    with locks.held(settings.lock, f"cluster {settings.name}"):
        found = running(settings)
        if found is not None:
            return found
        _clean(settings)
        with progress.step(f"starting cluster {settings.name}") as step:
            try:
                return _start(settings, image, step)
            except BaseException:
                _clean(settings)
                raise


def down(settings: Settings) -> bool:
    """End the cluster and remove all of it but its logs; False when there was none."""
    if not settings.state.exists():
        return False
    requirements.require_root("taking the cluster down")
    with locks.held(settings.lock, f"cluster {settings.name}"), progress.step(f"taking cluster {settings.name} down"):
        _clean(settings)
    return True


def running(settings: Settings) -> State | None:
    """The cluster, if it is up and usable."""
    found = state.read(settings.state)
    usable = found is not None and found.sandbox.alive() and (settings.state / "reached" / "ready").exists()
    return found if usable else None


def require(settings: Settings) -> State:
    """The cluster that runs; raises ClusterError when none does."""
    found = running(settings)
    if found is None:
        raise ClusterError(f"cluster {settings.name} does not run: start it with `python3 -m e2e.cluster up`")
    return found


def enter(cluster: State, variables: Mapping[str, str]) -> list[str]:
    """An argv prefix: what follows runs inside, in the caller's directory, with these variables beside the caller's."""
    assignments = [f"{name}={value}" for name, value in variables.items()]
    return [sys.executable, "-I", str(ENTER), str(_first_process(cluster)), *assignments, "--"]


def variables(cluster: State, path: str) -> dict[str, str]:
    """What a person's command finds in its environment: kubectl, helm and ctr just work."""
    return {
        "KUBECONFIG": str(cluster.kubeconfig),
        "PATH": f"{cluster.bin}:{path}",
        "CONTAINERD_ADDRESS": str(node_paths.CONTAINERD_SOCKET),
        "CONTAINERD_NAMESPACE": "k8s.io",
        "LLMOPS_CLUSTER_INSIDE": cluster.name,
    }


def call(cluster: State, command: Sequence[str]) -> str:
    """Run a command inside and return what it prints; raises ClusterError with its last words."""
    prefix = enter(cluster, variables(cluster, requirements.SYSTEM_PATH))
    return _call([*prefix, *command], os.environ, Path(command[0]).name)


def component(cluster: State, verb: str, name: str, signal_name: str = "TERM") -> None:
    """Start or stop one of the node's processes; raises ClusterError."""
    facts = [cluster.name, str(cluster.port), str(cluster.bin)]
    command = [sys.executable, "-m", "e2e.cluster.components", *facts, verb, name, signal_name]
    _call([*enter(cluster, {}), *command], _environment(cluster.bin), verb)


def _call(command: Sequence[str], environment: Mapping[str, str], name: str) -> str:
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()
        raise ClusterError(f"{name}: {said[-1]}")
    return done.stdout


def _environment(programs: Path) -> dict[str, str]:
    """The node's own: nothing of the caller's gets in."""
    return {"PATH": f"{programs}:{requirements.SYSTEM_PATH}", "HOME": str(node_paths.HOME), "LANG": "C.UTF-8"}


@dataclass(frozen=True)
class Relay:
    """An address inside that answers at 127.0.0.1:`port` outside, until the process ends (it ends with the cluster)."""

    port: int
    process: subprocess.Popen[bytes]


def relay(cluster: State, local_port: int, address: str) -> Relay:
    """Make HOST:PORT of the inside answer at 127.0.0.1:local_port; 0 takes a free port. Raises ClusterError."""
    listener = listen(local_port)
    command = [sys.executable, "-m", "e2e.cluster.relay", str(listener.fileno()), address]
    prefix = enter(cluster, variables(cluster, requirements.SYSTEM_PATH))
    with listener, (cluster.directory / "log" / "relay.log").open("ab") as log:
        started = subprocess.Popen(
            [*prefix, *command],
            cwd=ROOT,
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        return Relay(listener.getsockname()[1], started)


def listen(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; raises ClusterError when the port is taken."""
    try:
        return socket.create_server(("127.0.0.1", port), backlog=128)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise ClusterError(f"port {port} on 127.0.0.1: {why}; choose another one, or 0 for any") from error


def _start(settings: Settings, image: Path, step: progress.Step) -> State:
    for directory in ("log", "reached"):
        (settings.state / directory).mkdir(parents=True)
    with listen(settings.port) as listener, (settings.state / "log" / "node.log").open("wb") as log:
        port = listener.getsockname()[1]
        facts = [str(settings.state), settings.name, str(port), str(settings.bin), str(image), str(listener.fileno())]
        started = subprocess.Popen(
            [*_unshare(), sys.executable, "-m", NODE, *facts],
            cwd=ROOT,
            env=_environment(settings.bin),
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    cluster = State(settings.name, settings.state, settings.bin, port, processes.of(started.pid))
    state.write(cluster, settings)
    _await_ready(settings, cluster.sandbox, step)
    return cluster


def _unshare() -> list[str]:
    return [
        "unshare",
        *(f"--{name}" for name in NAMESPACES),
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--propagation=private",
    ]


def _await_ready(settings: Settings, sandbox: Process, step: progress.Step) -> None:
    def over() -> bool:
        stages = [stage for stage in AWAITED if not stage or (settings.state / "reached" / stage).exists()]
        step.note(AWAITED[stages[-1]])
        return stages[-1] == "ready" or not sandbox.alive()

    in_time = processes.wait_until(UP_SECONDS, over)
    if not (settings.state / "reached" / "ready").exists():
        why = last_words(settings.state / "log") if in_time else f"it is not ready after {UP_SECONDS:.0f} s"
        raise ClusterError(f"cluster {settings.name} did not come up: {why}\nall logs are kept in {settings.logs}")


def last_words(logs: Path) -> str:
    """Why the node ended: its own last line, and the last lines of the components that it names."""
    lines = {path.stem: path.read_text(encoding="utf-8", errors="replace").splitlines() for path in logs.glob("*.log")}
    reason = (lines.pop("node", None) or ["its first process ended in silence"])[-1].removeprefix("error: ")
    named = {name: said[-LOG_LINES:] for name, said in lines.items() if name in reason}
    return "\n".join([reason, *(f"{name}: {line[:300]}" for name, said in named.items() for line in said)])


def _first_process(cluster: State) -> int:
    pid = processes.only_child(cluster.sandbox.pid)
    if pid is None:
        raise ClusterError(f"cluster {cluster.name} has just ended")
    return pid


def _clean(settings: Settings) -> None:
    """End every process, remove the control groups, keep the logs, remove the state."""
    found = state.read(settings.state)
    _end(settings, found)
    cgroups.remove(found.name if found else settings.name)
    log = settings.state / "log"
    if log.exists():
        shutil.rmtree(settings.logs, ignore_errors=True)
        settings.logs.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(log, settings.logs)
    if settings.state.exists():
        subprocess.run(["rm", "-rf", "--one-file-system", str(settings.state)], check=True)


def _end(settings: Settings, found: State | None) -> None:
    """Kill the first process: the kernel ends all others of its namespace with it. Then wait until none is left."""
    first = processes.only_child(found.sandbox.pid) if found and found.sandbox.alive() else None
    network = processes.namespace(first, "net") if first else None
    holders = processes.with_arguments(NODE, str(settings.state))  # there is no record when `up` was killed early
    for process in holders:
        process.send(signal.SIGKILL)

    def left() -> list[int]:
        alive = [process.pid for process in holders if process.alive()]
        return alive + (processes.in_namespace("net", network) if network else [])

    if not processes.wait_until(DOWN_SECONDS, lambda: not left()):
        raise ClusterError(f"processes of cluster {settings.name} do not end: {', '.join(map(str, left()))}")
