from __future__ import annotations

import json
import os
import signal
import socket
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from e2e.cluster import __main__, processes, sandbox, state, target
from e2e.cluster.errors import ClusterError
from e2e.cluster.settings import Settings
from e2e.cluster.state import State


def _record(settings: Settings, *, ready: bool, started: int | None = None) -> State:
    """A state directory that claims this very process to be the sandbox."""
    (settings.state / "reached").mkdir(parents=True)
    if ready:
        (settings.state / "reached" / "ready").touch()
    this = processes.of(os.getpid())
    written = State("test", settings.state, Path("/bin"), 1, replace(this, started=started or this.started))
    state.write(written, settings)
    return written


def test_a_cluster_runs_when_its_process_does_and_it_got_ready(settings: Settings) -> None:
    written = _record(settings, ready=True)
    assert sandbox.running(settings) == sandbox.require(settings) == written


def test_a_cluster_that_is_not_ready_yet_does_not_count(settings: Settings) -> None:
    _record(settings, ready=False)
    assert sandbox.running(settings) is None


def test_a_dead_clusters_state_is_no_cluster_though_its_pid_was_used_again(settings: Settings) -> None:
    _record(settings, ready=True, started=1)
    with pytest.raises(ClusterError, match="cluster llmops-unit-test does not run: start it with `python3 -m e2e"):
        sandbox.require(settings)


def test_taking_down_what_is_not_there_does_nothing(settings: Settings) -> None:
    assert sandbox.down(settings) is False
    assert not settings.cache.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="taking a cluster down needs root")
def test_what_a_dead_cluster_left_is_removed_and_its_logs_are_kept(settings: Settings) -> None:
    _record(settings, ready=True, started=1)
    (settings.state / "log").mkdir()
    (settings.state / "log" / "node.log").write_text("last words")
    settings.logs.mkdir(parents=True)
    (settings.logs / "older.log").touch()
    assert sandbox.down(settings) is True
    assert not settings.state.exists()
    assert [path.name for path in settings.logs.iterdir()] == ["node.log"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # this process is alive: it was not taken for the sandbox


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ClusterError, match=rf"port {port} on 127.0.0.1: Address already in use; choose another one"
        ):
            sandbox.listen(port)


@pytest.mark.parametrize(
    ("logs", "words"),
    [
        pytest.param(
            {"node": "up\nerror: etcd ended", "etcd": "a\nb", "kubelet": "c"},
            "etcd ended\netcd: a\netcd: b",
            id="a component that is named",
        ),
        pytest.param({"node": "error: no API server within 60 s"}, "no API server within 60 s", id="nothing named"),
        pytest.param({"node": ""}, "its first process ended in silence", id="silence"),
        pytest.param({}, "its first process ended in silence", id="no log"),
    ],
)
def test_the_reason_of_a_failed_start_is_told(tmp_path: Path, logs: dict[str, str], words: str) -> None:
    for name, text in logs.items():
        (tmp_path / f"{name}.log").write_text(text)
    assert sandbox.last_words(tmp_path) == words


def test_only_the_last_lines_of_a_long_log_are_told(tmp_path: Path) -> None:
    (tmp_path / "node.log").write_text("error: etcd ended")
    (tmp_path / "etcd.log").write_text("\n".join(f"line {index} {'x' * 1000}" for index in range(100)))
    lines = sandbox.last_words(tmp_path).splitlines()
    assert [line[:13] for line in lines[1:]] == [f"etcd: line {index}" for index in range(95, 100)]
    assert max(map(len, lines)) < 320


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables of a person with an empty cache, for this process too."""
    for name in ("KUBECONFIG", "LLMOPS_CLUSTER", "LLMOPS_CLUSTER_INSIDE", "IMAGE_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    variables = {"LLMOPS_CLUSTER_CACHE": str(tmp_path / "cache"), "LLMOPS_CLUSTER_NAME": "test-of-commands"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return {"HOME": str(tmp_path), **variables}


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["status"], 3, "cluster test-of-commands does not run"),
        (["down"], 0, "cluster test-of-commands does not run"),
        (["env"], 1, "e2e.cluster: cluster test-of-commands does not run: start it"),
        (["exec", "true"], 1, "e2e.cluster: cluster test-of-commands does not run: start it"),
        (["exec"], 1, "e2e.cluster: exec needs a command"),
        (["load", "x.tar"], 1, "e2e.cluster: cluster test-of-commands does not run"),
        (["nodes"], 1, "e2e.cluster: cluster test-of-commands does not run"),
        (["stop", "etcd"], 1, "e2e.cluster: cluster test-of-commands does not run"),
        (["build", "kubernetes"], 1, "e2e.cluster: no program is called 'kubernetes'"),
    ],
)
def test_a_command_says_in_one_line_why_it_cannot(
    environment: dict[str, str], capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, said: str
) -> None:
    assert environment
    assert __main__.main(arguments) == status
    lines = "".join(capsys.readouterr()).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(said)


def test_a_bad_setting_is_one_line_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LLMOPS_CLUSTER_PORT", "many")
    assert __main__.main(["status"]) == 1
    assert capsys.readouterr().err.startswith("e2e.cluster: LLMOPS_CLUSTER_PORT is 'many'")


@pytest.mark.parametrize("command", ["build", "up", "exec", "image", "relay", "stop", "nodes", "env"])
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        __main__.main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: python3 -m e2e.cluster {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("variables", "kind"),
    [
        ({}, "embedded"),
        ({"KUBECONFIG": "/k"}, "existing"),
        ({"KUBECONFIG": ""}, "embedded"),
        ({"KUBECONFIG": "/k", "LLMOPS_CLUSTER": "embedded"}, "embedded"),
        ({"LLMOPS_CLUSTER": "existing"}, "existing"),
    ],
)
def test_the_kubeconfig_decides_unless_it_is_overruled(variables: dict[str, str], kind: str) -> None:
    assert target.kind(variables) == kind


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ClusterError, match="LLMOPS_CLUSTER is 'kind': one of embedded, existing"):
        target.kind({"LLMOPS_CLUSTER": "kind"})


def test_an_existing_cluster_is_reached_from_outside(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").touch()
    with target.provided(
        keep=False, environment={**environment, "KUBECONFIG": str(tmp_path / "kubeconfig")}
    ) as cluster:
        assert isinstance(cluster, target.ExistingCluster)
        assert (cluster.reaches_services, cluster.exec_prefix()) == (False, [])
        with pytest.raises(ClusterError, match="set IMAGE_REGISTRY to a registry that its nodes reach"):
            cluster.provide_images(["operator"])


def test_a_kubeconfig_that_does_not_exist_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(ClusterError, match="KUBECONFIG is /no/where: there is no such file"):
        target.choose({**environment, "KUBECONFIG": "/no/where"})


def test_a_command_that_is_inside_already_uses_what_is_there(environment: dict[str, str]) -> None:
    cluster = target.choose({**environment, "KUBECONFIG": "/k", "LLMOPS_CLUSTER_INSIDE": "test"})
    assert isinstance(cluster, target.InsideCluster)
    assert (cluster.reaches_services, cluster.exec_prefix(), cluster.kubeconfig) == (True, [], Path("/k"))


def test_a_record_holds_what_tells_a_process_from_another(settings: Settings) -> None:
    _record(settings, ready=True)
    found = json.loads((settings.state / "cluster.json").read_text(encoding="utf-8"))
    assert found["sandbox"] == asdict(processes.of(os.getpid()))
