"""What is counted of the shared store."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

OUTCOMES = frozenset(
    {
        *("hit", "miss", "expired", "damaged", "purged", "done", "dropped", "too_large"),
        *("down", "late", "garbled", "busy", "OOM", "NOPERM", "READONLY", "LOADING"),
    }
)
REFUSED = "refused"

BUCKETS = (0.0001, 0.0002, 0.0005, 0.001, 0.0015, 0.002, 0.005, 0.01)


class SharedMetrics:
    """Metrics of one process, whichever store it uses."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "llmops_cache_shared_requests",
            "Commands to the shared store by what came of them.",
            ["command", "outcome"],
            registry=registry,
        )
        self.seconds = Histogram(
            "llmops_cache_shared_get_seconds",
            "How long look-ups took that the shared store answered.",
            buckets=BUCKETS,
            registry=registry,
        )

    def count(self, command: str, outcome: str) -> None:
        """Count a command; codes of the store that nobody here knows are `refused`."""
        self._requests.labels(command, outcome.lower() if outcome in OUTCOMES else REFUSED).inc()
