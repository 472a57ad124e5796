from __future__ import annotations

from llmops_operator.cluster.kinds import Key
from llmops_operator.cluster.metrics import Metrics


def lines(metrics: Metrics) -> list[str]:
    return [line for line in metrics.exposition().decode().splitlines() if not line.startswith("#")]


def test_passes_errors_and_writes_are_counted() -> None:
    metrics = Metrics()
    metrics.passed("LLMDeployment", "ok", 0.03)
    metrics.passed("LLMDeployment", "failed", 0.2)
    metrics.failed("transient")
    metrics.written("ConfigMap", "apply")
    found = lines(metrics)
    assert 'llmops_reconciles_total{kind="LLMDeployment",outcome="ok"} 1.0' in found
    assert 'llmops_reconcile_seconds_bucket{kind="LLMDeployment",le="0.05"} 1.0' in found
    assert 'llmops_reconcile_seconds_count{kind="LLMDeployment"} 2.0' in found
    assert 'llmops_errors_total{class="transient"} 1.0' in found
    assert 'llmops_writes_total{kind="ConfigMap",verb="apply"} 1.0' in found


def test_objects_are_counted_by_condition_and_forgotten_with_the_object() -> None:
    metrics = Metrics()
    keys = [Key("LLMDeployment", "team-a", name) for name in ("a", "b")]
    for key in keys:
        metrics.conditions(key, {"Ready": "True"})
    metrics.conditions(keys[0], {"Ready": "False", "Stalled": "True"})
    found = lines(metrics)
    assert 'llmops_objects{condition="Ready",kind="LLMDeployment",status="True"} 1.0' in found
    assert 'llmops_objects{condition="Stalled",kind="LLMDeployment",status="True"} 1.0' in found
    assert "team-a" not in metrics.exposition().decode()
    metrics.forget(keys[0])
    metrics.forget(keys[0])
    assert not [line for line in lines(metrics) if "Stalled" in line]


def test_a_gauge_is_asked_when_somebody_looks() -> None:
    metrics, value = Metrics(), [1.0]
    metrics.watch("llmops_leader", "1 while this process acts", lambda: value[0])
    assert "llmops_leader 1.0" in lines(metrics)
    value[0] = 0
    assert "llmops_leader 0.0" in lines(metrics)
