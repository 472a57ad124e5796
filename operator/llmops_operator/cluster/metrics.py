"""The operator's own metrics; labels hold kinds, verbs, classes and condition types, never names or texts."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from llmops_operator.cluster.kinds import Key

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """One process's figures, in a registry of their own."""

    def __init__(self) -> None:
        """Everything starts at zero."""
        self.registry = CollectorRegistry()
        self._reconciles = self._counter("llmops_reconciles", "Passes", "kind", "outcome")
        self._errors = self._counter("llmops_errors", "Failed passes by class of error", "class")
        self._writes = self._counter("llmops_writes", "Writes that the API server took", "kind", "verb")
        self._seconds = Histogram(
            "llmops_reconcile_seconds", "Duration of passes", ["kind"], buckets=BUCKETS, registry=self.registry
        )
        self._conditions: dict[Key, Mapping[str, str]] = {}
        self.registry.register(_Conditions(self._conditions))

    def passed(self, kind: str, outcome: str, seconds: float) -> None:
        """A pass has ended."""
        self._reconciles.labels(kind, outcome).inc()
        self._seconds.labels(kind).observe(seconds)

    def failed(self, error_class: str) -> None:
        """A pass has ended with an error of that class: transient, terminal or bug."""
        self._errors.labels(error_class).inc()

    def written(self, kind: str, verb: str) -> None:
        """The API server took a write."""
        self._writes.labels(kind, verb).inc()

    def conditions(self, key: Key, conditions: Mapping[str, str]) -> None:
        """The conditions of an object, type to status, as last reported."""
        self._conditions[key] = conditions

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._conditions.pop(key, None)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A gauge that is asked when somebody looks."""
        Gauge(name, text, registry=self.registry).set_function(value)

    def exposition(self) -> bytes:
        """All figures in Prometheus' text form."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)


class _Conditions(Collector):
    """Counts objects by kind, condition and status."""

    def __init__(self, conditions: Mapping[Key, Mapping[str, str]]) -> None:
        self._conditions = conditions

    def collect(self) -> Iterable[Metric]:
        tally = Tally(
            (key.kind, name, value) for key, found in self._conditions.items() for name, value in found.items()
        )
        family = GaugeMetricFamily("llmops_objects", "Objects by condition", labels=["kind", "condition", "status"])
        for labels, count in sorted(tally.items()):
            family.add_metric(labels, count)
        yield family
