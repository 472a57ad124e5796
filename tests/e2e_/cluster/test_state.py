from __future__ import annotations

import json
from pathlib import Path

from e2e.cluster import state
from e2e.cluster.processes import Process
from e2e.cluster.settings import Settings
from e2e.cluster.state import State


def _state(settings: Settings) -> State:
    settings.state.mkdir(parents=True)
    return State("test", settings.state, Path("/c/bin"), 16443, Process(7, 123, "boot"))


def test_what_is_written_is_read_again(settings: Settings) -> None:
    written = _state(settings)
    state.write(written, settings)
    assert state.read(settings.state) == written
    assert [path.name for path in settings.state.iterdir()] == ["cluster.json"]


def test_the_record_says_what_the_directory_is_and_how_to_remove_it(settings: Settings) -> None:
    written = _state(settings)
    state.write(written, settings)
    found = json.loads((settings.state / "cluster.json").read_text(encoding="utf-8"))
    assert "test cluster of llmops-operator" in found["about"]
    assert found["remove"].startswith(f"LLMOPS_CLUSTER_STATE={settings.state} LLMOPS_CLUSTER_NAME=test python3")
    assert found["kubeconfig"] == str(written.kubeconfig)
    assert found["logs_after_the_end"] == str(settings.logs)


def test_no_record_is_no_cluster(tmp_path: Path) -> None:
    assert state.read(tmp_path) is None
