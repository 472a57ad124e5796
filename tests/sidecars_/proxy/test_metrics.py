from __future__ import annotations

import pytest
from prometheus_client import Counter
from prometheus_client.parser import text_string_to_metric_families

from llmops_sidecars.proxy import metrics


def families(exposition: bytes) -> list[str]:
    return [family.name for family in text_string_to_metric_families(exposition.decode())]


def test_registries_are_strangers() -> None:
    first, second = metrics.new_registry(), metrics.new_registry()
    Counter("llmops_test_requests", "Requests", registry=first).inc()  # has no _created series beside it
    assert families(metrics.exposition(first)) == ["llmops_test_requests"]
    assert metrics.exposition(second) == b""


def test_a_series_is_looked_up_once_and_counted_in_its_family() -> None:
    registry = metrics.new_registry()
    requests = metrics.Series(Counter("llmops_test_requests", "Requests", ["revision", "outcome"], registry=registry))
    for outcome in ("ok", "ok", "failed"):
        requests.labels("a", outcome).inc()
    assert requests.labels("a", "ok") is requests.labels("a", "ok")
    assert requests.labels("a", "ok") is not requests.labels("b", "ok")
    lines = metrics.exposition(registry).decode().splitlines()
    assert 'llmops_test_requests_total{outcome="ok",revision="a"} 2.0' in lines
    assert 'llmops_test_requests_total{outcome="failed",revision="a"} 1.0' in lines


def test_two_expositions_one_after_the_other_are_one() -> None:
    both = b"".join(metrics.exposition(metrics.new_registry(name)) for name in ("llmops_guard", "llmops_cache"))
    names = families(both)
    assert len(names) == len(set(names))
    assert {"llmops_guard_process_resident_memory_bytes", "llmops_cache_process_resident_memory_bytes"} <= set(names)


@pytest.mark.parametrize(
    "buckets",
    [metrics.FIRST_TOKEN_SECONDS, metrics.INTER_TOKEN_SECONDS, metrics.REQUEST_SECONDS, metrics.OVERHEAD_SECONDS],
    ids=["first token", "inter token", "request", "overhead"],
)
def test_buckets_grow_and_are_few(buckets: tuple[float, ...]) -> None:
    assert list(buckets) == sorted(set(buckets))
    assert len(buckets) <= 20
