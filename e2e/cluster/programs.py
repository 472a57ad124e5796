"""The programs of the cluster, their versions and how each is built: data, and a digest that says when it is stale."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

KUBERNETES = "v1.37.2"
CONTAINERD = "v2.3.4"
KWOK = "v0.8.0"
HELM = "v4.2.4"

MODULES = Path(__file__).parent / "go"
SOURCES = ("go.mod", "go.sum", "main.go")


@dataclass(frozen=True)
class Module:
    """A main package of ours whose go.mod names the real program's module: for modules with replace directives."""

    directory: Path

    def digest(self) -> str:
        """Over all that decides what is built."""
        files = (self.directory / name for name in SOURCES)
        return hashlib.sha256(b"".join(file.read_bytes() for file in files if file.exists())).hexdigest()


@dataclass(frozen=True)
class Package:
    """Main packages of a published module, built as they are."""

    module: str
    version: str
    paths: tuple[str, ...]

    def digest(self) -> str:
        """Over all that decides what is built."""
        return hashlib.sha256(f"{self.module}@{self.version} {self.paths}".encode()).hexdigest()


@dataclass(frozen=True)
class Build:
    """One build: its name, where the code comes from, and the files that it leaves in the directory of programs."""

    name: str
    source: Module | Package
    files: tuple[str, ...]
    links: tuple[str, ...] = ()
    link_flags: str = ""
    tags: str = ""
    cold: str = "a minute"
    """About how long it takes on two cores with nothing in Go's cache: what a waiting person wants to know."""

    def digest(self) -> str:
        """Changes when what would be built changes."""
        text = f"{self.source.digest()} {self.files} {self.links} {self.link_flags} {self.tags}"
        return hashlib.sha256(text.encode()).hexdigest()


def kubernetes_version_flags(version: str) -> str:
    """Linker flags by which the programs know their version, as Kubernetes' own build sets them."""
    major, minor, _ = version.removeprefix("v").split(".")
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(f"-X {package}.{name}={value}" for package in packages for name, value in values.items())


BUILDS = (
    Build(
        name="kube",
        source=Module(MODULES / "kube"),
        files=("kube",),
        links=("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"),
        link_flags=kubernetes_version_flags(KUBERNETES),
        cold="8 minutes",
    ),
    Build(name="etcd", source=Module(MODULES / "etcd"), files=("etcd",)),
    Build(name="pause", source=Module(MODULES / "pause"), files=("pause",)),
    Build(name="coredns", source=Module(MODULES / "coredns"), files=("coredns",)),
    Build(
        name="containerd",  # newer than Debian 12's, for image volumes
        source=Package(
            "github.com/containerd/containerd/v2",
            CONTAINERD,
            ("cmd/containerd", "cmd/containerd-shim-runc-v2", "cmd/ctr"),
        ),
        files=("containerd", "containerd-shim-runc-v2", "ctr"),
        tags="no_btrfs",  # its driver needs C headers
        cold="2 minutes",
    ),
    Build(
        name="kwok",
        source=Package("sigs.k8s.io/kwok", KWOK, ("cmd/kwok",)),
        files=("kwok", "kwok-stages.yaml"),
        cold="90 seconds",
    ),
    Build(name="helm", source=Package("helm.sh/helm/v4", HELM, ("cmd/helm",)), files=("helm",)),
)

KWOK_STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)
"""How fake nodes and pods go from state to state: files of KWOK's module, below kustomize/stage; none is built in."""


def fresh(build: Build, directory: Path) -> bool:
    """Whether the programs in `directory` are what the build would make."""
    stamp = directory / f".{build.name}.built"
    made = stamp.read_text(encoding="utf-8").strip() if stamp.exists() else ""
    return made == build.digest() and all((directory / name).exists() for name in (*build.files, *build.links))
