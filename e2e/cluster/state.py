"""What is known of a cluster that runs: one file in its state directory, which also says what the directory is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.processes import Process
from e2e.cluster.settings import Settings

RECORD = "cluster.json"
DOWN = "python3 -m e2e.cluster down"
ABOUT = "The state of an embedded test cluster of llmops-operator. Do not remove it by hand while the cluster runs."


@dataclass(frozen=True)
class State:
    """One cluster. `sandbox` is the process outside that holds it; the node's first process is its child."""

    name: str
    directory: Path
    bin: Path
    port: int
    sandbox: Process

    @property
    def kubeconfig(self) -> Path:
        """The administrator's; good inside and outside."""
        return self.directory / "admin.kubeconfig"

    def document(self, settings: Settings) -> dict[str, object]:
        """The record, as a person or a program may read it."""
        sandbox = {"pid": self.sandbox.pid, "started": self.sandbox.started, "boot": self.sandbox.boot}
        return {
            "about": ABOUT,
            "remove": f"LLMOPS_CLUSTER_STATE={self.directory} LLMOPS_CLUSTER_NAME={self.name} {DOWN}",
            "name": self.name,
            "port": self.port,
            "kubeconfig": str(self.kubeconfig),
            "programs": str(self.bin),
            "logs": str(self.directory / "log"),
            "logs_after_the_end": str(settings.logs),
            "control_groups": f"/{self.name}",
            "sandbox": sandbox,
        }


def write(state: State, settings: Settings) -> None:
    """Write the record in one step: nobody reads half of it."""
    temporary = state.directory / f".{RECORD}"
    temporary.write_text(json.dumps(state.document(settings), indent=2) + "\n", encoding="utf-8")
    temporary.replace(state.directory / RECORD)


def read(directory: Path) -> State | None:
    """The record in a state directory, None when there is none."""
    try:
        found = json.loads((directory / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    sandbox = Process(**found["sandbox"])
    return State(found["name"], directory, Path(found["programs"]), found["port"], sandbox)
