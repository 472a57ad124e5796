from __future__ import annotations

import os
from pathlib import Path

import pytest

from e2e.cluster import build
from e2e.cluster.errors import ClusterError
from e2e.cluster.programs import BUILDS, KWOK_STAGES
from e2e.cluster.settings import Settings

GO = """#!/bin/sh
here=$(dirname "$0")
case "$1" in
version) echo "go version goVERSION linux/amd64"; exit;;
mod) echo "{\\"Dir\\": \\"$here/module\\"}"; exit;;
esac
echo "$* CGO_ENABLED=$CGO_ENABLED GOFLAGS=$GOFLAGS" >> "$here/calls"
echo "go: downloading x v1" >&2
echo "k8s.io/api/core/v1" >&2
test -e "$here/broken" && { echo "main.go:7: undefined: x" >&2; exit 1; }
last=
for word; do
  case "$previous" in -o) touch "$word"; made=yes;; esac
  previous=$word
  case "$word" in *@*) word=${word%@*}; touch "$GOBIN/${word##*/}";; esac
done
"""


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Go that writes what it was asked and makes empty programs."""
    directory = tmp_path / "go"
    for stage in KWOK_STAGES:
        path = directory / "module" / "kustomize" / "stage" / stage
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"stage: {stage}")
    _write(directory, "1.26.1")
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return directory


def _write(directory: Path, version: str) -> None:
    (directory / "go").write_text(GO.replace("VERSION", version))
    (directory / "go").chmod(0o755)


def _calls(go: Path) -> list[str]:
    calls = go / "calls"
    return calls.read_text().splitlines() if calls.exists() else []


def test_everything_is_built_once(go: Path, settings: Settings) -> None:
    build.ensure(settings)
    assert len(_calls(go)) == len(BUILDS)
    assert (settings.bin / "kubectl").resolve() == settings.bin / "kube"
    assert (settings.bin / "containerd-shim-runc-v2").exists()
    build.ensure(settings)
    assert len(_calls(go)) == len(BUILDS)
    assert not [path for path in settings.bin.iterdir() if path.is_dir()]


def test_only_what_is_missing_is_built(go: Path, settings: Settings) -> None:
    build.ensure(settings, ["pause", "etcd"])
    (settings.bin / "etcd").unlink()
    build.ensure(settings, ["pause", "etcd"])
    assert [Path(call.split(" -o ")[1].split()[0]).name for call in _calls(go)] == ["pause", "etcd", "etcd"]


def test_the_flags_keep_the_cache_of_another_checkout_usable(go: Path, settings: Settings) -> None:
    build.ensure(settings, ["kube", "containerd"])
    kube, containerd = _calls(go)
    assert kube.startswith(
        "build -mod=readonly -trimpath -v -ldflags -s -w -X k8s.io/component-base/version.gitVersion="
    )
    assert kube.endswith("CGO_ENABLED=0 GOFLAGS=-buildvcs=false")
    assert "-tags=no_btrfs github.com/containerd/containerd/v2/cmd/containerd@v2" in containerd


def test_the_stages_of_fake_nodes_come_from_their_module(go: Path, settings: Settings) -> None:
    assert go.exists()
    build.ensure(settings, ["kwok"])
    stages = (settings.bin / "kwok-stages.yaml").read_text().split("\n---\n")
    assert stages == [f"stage: {stage}" for stage in KWOK_STAGES]


def test_a_failed_build_gives_the_compilers_words_and_leaves_nothing(go: Path, settings: Settings) -> None:
    (go / "broken").touch()
    with pytest.raises(ClusterError) as refused:
        build.ensure(settings, ["pause"])
    assert str(refused.value) == "building pause failed; Go's last words:\nmain.go:7: undefined: x"
    assert list(settings.bin.iterdir()) == []


def test_an_unknown_program_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ClusterError, match="no program is called 'kubernetes': there are kube, etcd, "):
        build.select(["kube", "kubernetes"])
