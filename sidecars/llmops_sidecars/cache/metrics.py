"""What the cache counts."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from prometheus_client import Counter, Gauge

from llmops_sidecars.proxy.metrics import counted, new_registry


class Outcome(StrEnum):
    """What the cache did for a request; the value of `x-llmops-cache`."""

    HIT = "hit"
    HIT_SHARED = "hit-shared"
    MISS = "miss"
    SHARED = "shared"
    BYPASS = "bypass"


class Metrics:
    """The cache's metrics and their registry; those of the process are in the engine's, which shares it."""

    def __init__(self) -> None:
        self.registry = new_registry()
        self.lookups = counted(
            "llmops_cache_lookups", "Requests by what the cache did.", ["revision", "outcome"], self.registry
        )
        self.admissions = Counter(
            "llmops_cache_admissions", "Answers remembered after they passed the guard.", registry=self.registry
        )
        self.evictions = Counter(
            "llmops_cache_evictions",
            "Entries dropped: expired, space, damaged, purged.",
            ["reason"],
            registry=self.registry,
        )

    def observe(self, name: str, description: str, value: Callable[[], float]) -> None:
        """A gauge that is read when metrics are."""
        Gauge(name, description, registry=self.registry).set_function(value)
