"""What a person may choose, by environment variables, and the addresses that are the same in every cluster."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.errors import ClusterError

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

NODE_ADDRESS = "10.200.1.1"
DNS_ADDRESS = "10.96.0.10"
API_ADDRESS = "10.96.0.1"
SERVICE_RANGE = "10.96.0.0/16"
POD_RANGE = "10.244.0.0/24"
FAKE_POD_RANGE = "10.250.0.1/16"

NAME_PATTERN = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
HIDDEN_INSIDE = ("/etc", "/run", "/var")
"""Directories that the node sees through a layer of its own; what must be seen from both sides cannot lie there."""

VARIABLES = {
    "LLMOPS_CLUSTER_CACHE": "binaries, images and logs (default: llmops-operator in XDG_CACHE_HOME or ~/.cache)",
    "LLMOPS_CLUSTER_NAME": "name of cluster, node, control groups (default: llmops- and a hash of the checkout's path)",
    "LLMOPS_CLUSTER_PORT": "the API server's port on 127.0.0.1 (default: 0, a free one)",
    "LLMOPS_CLUSTER_STATE": "state of the running cluster, removed by `down` (default: state/NAME in the cache)",
}


@dataclass(frozen=True)
class Settings:
    """Where things are and what this cluster is called."""

    cache: Path
    state: Path
    name: str
    port: int

    @property
    def bin(self) -> Path:
        """The programs that `build` makes."""
        return self.cache / "bin"

    @property
    def images(self) -> Path:
        """The archives that `image` makes."""
        return self.cache / "images"

    @property
    def logs(self) -> Path:
        """The logs of the last cluster of this name, kept after its end."""
        return self.cache / "logs" / self.name

    @property
    def lock(self) -> Path:
        """Held while this cluster goes up or down."""
        return self.cache / "locks" / f"cluster-{self.name}"


def read(environment: Mapping[str, str] = os.environ, root: Path = ROOT) -> Settings:
    """Read the variables; raises ClusterError for a value that cannot be used."""
    cache = _directory(environment.get("LLMOPS_CLUSTER_CACHE"), _default_cache(environment))
    name = environment.get("LLMOPS_CLUSTER_NAME") or default_name(root)
    if not NAME_PATTERN.fullmatch(name):
        raise ClusterError(f"LLMOPS_CLUSTER_NAME is {name!r}: at most 40 of a-z, 0-9 and '-', no '-' at either end")
    state = _directory(environment.get("LLMOPS_CLUSTER_STATE"), cache / "state" / name)
    for hidden in HIDDEN_INSIDE:
        if state.is_relative_to(hidden):
            raise ClusterError(
                f"the state {state} cannot lie in {hidden}: set LLMOPS_CLUSTER_STATE to another directory"
            )
    return Settings(cache=cache, state=state, name=name, port=_port(environment.get("LLMOPS_CLUSTER_PORT") or "0"))


def default_name(root: Path) -> str:
    """One name for each checkout, so that two of them on one machine do not meet."""
    return "llmops-" + hashlib.sha256(str(root).encode()).hexdigest()[:6]


def _default_cache(environment: Mapping[str, str]) -> Path:
    home = Path(environment.get("HOME") or Path.home())
    return Path(environment.get("XDG_CACHE_HOME") or home / ".cache") / "llmops-operator"


def _directory(text: str | None, default: Path) -> Path:
    return Path(os.path.abspath(text or default))  # noqa: PTH100  # resolve() would follow links that a person set up


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:  # noqa: PLR2004  # the largest port
        raise ClusterError(f"LLMOPS_CLUSTER_PORT is {text!r}: a number from 0 (any free port) to 65535")
    return int(text)
