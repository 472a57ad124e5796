"""What deciding gives back: frozen values that print, with a reason for each part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from llmops_operator.world import Document


@dataclass(frozen=True)
class Hold:
    """Why an object cannot go on: `reason` in CamelCase, `message` says what to do.

    `terminal`: a person has to act (Stalled); otherwise it heals by itself or by another object (Reconciling).
    """

    reason: str
    message: str
    terminal: bool


@dataclass(frozen=True)
class Child:
    """A wanted object; `reason` says why it must be applied, None that the live one holds all of it."""

    document: dict[str, Any]
    reason: str | None


@dataclass(frozen=True)
class Prune:
    """A live object of ours that is no longer wanted; to be deleted by its uid, after everything was applied."""

    document: Document
    reason: str


@dataclass(frozen=True)
class Nudge:
    """Annotations for a running pod, so that its kubelet looks at the changed configuration at once."""

    pod: str
    uid: str
    annotations: Mapping[str, str]
    reason: str


@dataclass(frozen=True)
class Plan:
    """All that one pass does, in this order: apply children, nudge pods, prune. With a hold it does nothing.

    `configuration` is the digest that every guard must report, `engine` that of the pods' engine part, `revision` the
    name of both together; all empty with a hold. `requeue_after` asks for a pass without an event.
    """

    hold: Hold | None = None
    children: tuple[Child, ...] = ()
    nudges: tuple[Nudge, ...] = ()
    prune: tuple[Prune, ...] = ()
    configuration: str = ""
    engine: str = ""
    revision: str = ""
    requeue_after: timedelta | None = None

    def reasons(self) -> tuple[str, ...]:
        """What the plan does and why, a line for each step."""
        applied = (f"apply {_name(one.document)}: {one.reason}" for one in self.children if one.reason)
        nudged = (f"annotate Pod {one.pod}: {one.reason}" for one in self.nudges)
        pruned = (f"delete {_name(one.document)}: {one.reason}" for one in self.prune)
        held = (f"hold: {self.hold.reason}: {self.hold.message}",) if self.hold else ()
        return (*held, *applied, *nudged, *pruned)


def _name(document: Document) -> str:
    return f"{document['kind']} {document['metadata']['name']}"
