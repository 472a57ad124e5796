"""Times of conditions."""

from __future__ import annotations

from datetime import datetime, timedelta

from llmops_operator.world import Document


def stamp(now: datetime) -> str:
    """A time as Kubernetes writes it: UTC, whole seconds."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def since(status: Document, kind: str, value: str, now: datetime) -> timedelta:
    """For how long a condition has had that value; no time when it has another."""
    for condition in status.get("conditions") or ():
        if (condition["type"], condition["status"]) == (kind, value):
            return now - datetime.fromisoformat(condition["lastTransitionTime"])
    return timedelta()
