"""The cluster that scenarios run on: the embedded one, or the one that the caller's KUBECONFIG names.

Either kind answers the same questions, so that nothing else needs to know which it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from e2e.cluster import builders, images, progress, sandbox, settings
from e2e.cluster.errors import ClusterError
from e2e.cluster.images import Image
from e2e.cluster.settings import Settings
from e2e.cluster.state import State

__all__ = (
    "Cluster",
    "ClusterError",
    "EmbeddedCluster",
    "ExistingCluster",
    "InsideCluster",
    "choose",
    "kind",
    "provided",
)

KINDS = ("embedded", "existing")


class Cluster(Protocol):
    """A Kubernetes to install on."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; usable in this process."""

    @property
    def reaches_services(self) -> bool:
        """Whether a command behind `exec_prefix` reaches Service and pod addresses, and resolves Service names."""

    def exec_prefix(self) -> list[str]:
        """What to put before a command's argv so that it runs as near to the cluster as possible."""

    def provide_images(self, names: Sequence[str]) -> dict[str, str]:
        """Build the named images of ours where needed and bring them to the nodes; their references by name."""


@dataclass(frozen=True)
class EmbeddedCluster:
    """The cluster of `e2e.cluster`, which is up."""

    settings: Settings
    state: State

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, good outside and inside."""
        return self.state.kubeconfig

    @property
    def reaches_services(self) -> bool:
        """Commands run on the node itself."""
        return True

    def exec_prefix(self) -> list[str]:
        """Into the sandbox."""
        return sandbox.enter(self.state, sandbox.variables(self.state, os.environ.get("PATH", os.defpath)))

    def provide_images(self, names: Sequence[str]) -> dict[str, str]:
        """Import the archives of what containerd lacks."""
        built = images.build(self.settings, names)
        load(self.state, built)
        return {image.name: image.reference for image in built}


@dataclass(frozen=True)
class InsideCluster:
    """The embedded cluster as a command sees it that runs inside already, where nothing can be built."""

    settings: Settings
    kubeconfig: Path
    reaches_services: bool = field(default=True, init=False)

    def exec_prefix(self) -> list[str]:
        """Nothing: this is inside."""
        return []

    def provide_images(self, names: Sequence[str]) -> dict[str, str]:
        """The references of what was built outside; raises ClusterError for an image that was not."""
        return {name: images.find(self.settings, name).reference for name in names}


@dataclass(frozen=True)
class ExistingCluster:
    """A cluster that somebody else runs. Its nodes pull from `registry`, a prefix such as registry.example.org/team."""

    settings: Settings
    kubeconfig: Path
    registry: str
    reaches_services: bool = field(default=False, init=False)

    def exec_prefix(self) -> list[str]:
        """Nothing: there is no way in but the API server."""
        return []

    def provide_images(self, names: Sequence[str]) -> dict[str, str]:
        """Push to the registry; raises ClusterError when none is named."""
        if not self.registry:
            raise ClusterError(
                "KUBECONFIG names a cluster of yours: set IMAGE_REGISTRY to a registry that its nodes reach"
            )
        builder, references = builders.choose(self.settings), {}
        for image in images.build(self.settings, names):
            references[image.name] = remote = f"{self.registry}/{image.reference.removeprefix('localhost/')}"
            with progress.step(f"pushing {remote}"):
                builder.push(image.archive, image.reference, remote)
        return references


def choose(environment: Mapping[str, str] = os.environ) -> Cluster:
    """The cluster to use, brought up if it is the embedded one; raises ClusterError.

    KUBECONFIG decides for an existing cluster, unless LLMOPS_CLUSTER says `embedded`.
    """
    chosen = settings.read(environment)
    kubeconfig = Path(environment.get("KUBECONFIG", ""))
    if environment.get("LLMOPS_CLUSTER_INSIDE"):
        return InsideCluster(chosen, kubeconfig)
    if kind(environment) == "existing":
        if not kubeconfig.is_file():
            raise ClusterError(f"KUBECONFIG is {kubeconfig}: there is no such file; unset it for the embedded cluster")
        return ExistingCluster(chosen, kubeconfig, environment.get("IMAGE_REGISTRY", "").rstrip("/"))
    return EmbeddedCluster(chosen, sandbox.up(chosen))


@contextmanager
def provided(*, keep: bool, environment: Mapping[str, str] = os.environ) -> Iterator[Cluster]:
    """The chosen cluster for the time of a block; an embedded one started for it ends with it, unless `keep`."""
    embedded = kind(environment) == "embedded" and not environment.get("LLMOPS_CLUSTER_INSIDE")
    was_up = embedded and sandbox.running(settings.read(environment)) is not None
    cluster = choose(environment)
    try:
        yield cluster
    finally:
        if embedded and not was_up and not keep:
            sandbox.down(settings.read(environment))


def kind(environment: Mapping[str, str]) -> str:
    """Which kind of cluster the variables ask for; raises ClusterError for one that does not exist."""
    wanted = environment.get("LLMOPS_CLUSTER") or ("existing" if environment.get("KUBECONFIG") else "embedded")
    if wanted not in KINDS:
        raise ClusterError(f"LLMOPS_CLUSTER is {wanted!r}: one of {', '.join(KINDS)}")
    return wanted


def load(state: State, built: Sequence[Image]) -> None:
    """Import the images that containerd does not have, each also under the name that examples use."""
    there = set(sandbox.call(state, ["ctr", "images", "list", "--quiet"]).split())
    for image in built:
        if image.reference not in there:
            with progress.step(f"loading image {image.name}"):
                sandbox.call(state, ["ctr", "images", "import", "--local", str(image.archive)])
        sandbox.call(state, ["ctr", "images", "tag", "--force", image.reference, current(image)])


def current(image: Image) -> str:
    """The name under which the newest build of an image is found in the cluster: what the examples say."""
    return f"{image.reference.rpartition(':')[0]}:current"
