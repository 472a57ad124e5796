"""Prometheus metrics: a registry per component, so that one process can hold several and tests stay apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Generic, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""Of `exposition`'s bytes. Two expositions one after the other are one, as long as they share no metric."""

FIRST_TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 60)
"""Buckets for times to the first token."""

INTER_TOKEN_SECONDS = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 30)
"""Buckets for times between tokens."""

REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
"""Buckets for whole requests."""

OVERHEAD_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
"""Buckets for what a component itself adds."""


Family = TypeVar("Family", Counter, Histogram)


class Series(Generic[Family]):
    """The series of a family, each looked up in it once: that takes longer than to count. None of them ever ends."""

    def __init__(self, family: Family) -> None:
        self.labels: Callable[..., Family] = cache(family.labels)
        """The series with these labels, in the family's order."""


def counted(name: str, description: str, labels: Sequence[str], registry: CollectorRegistry) -> Series[Counter]:
    """The series of a new counter."""
    return Series(Counter(name, description, labels, registry=registry))


def timed(
    name: str, description: str, labels: Sequence[str], buckets: Sequence[float], registry: CollectorRegistry
) -> Series[Histogram]:
    """The series of a new histogram of seconds."""
    return Series(Histogram(name, description, labels, buckets=buckets, registry=registry))


def new_registry(process: str | None = None) -> CollectorRegistry:
    """An empty registry; with a name, `llmops_guard` for example, also the process's memory, CPU and files under it.

    Counters have no `_created` series beside them: they double the exposition, and a restart is seen without them.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    if process is not None:
        ProcessCollector(namespace=process, registry=registry)
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    """The registry in Prometheus' text format."""
    return generate_latest(registry)
