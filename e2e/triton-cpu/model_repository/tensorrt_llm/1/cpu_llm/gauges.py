"""The engine's load as Triton metrics, under the names of TensorRT-LLM's older C++ backend."""

from __future__ import annotations

import time
from typing import Any

import triton_python_backend_utils as pb_utils

from cpu_llm.batch import Load

_LABELS = {
    "nv_trt_llm_request_metrics": "request_type",
    "nv_trt_llm_kv_cache_block_metrics": "kv_cache_block_type",
    "nv_trt_llm_inflight_batcher_metrics": "inflight_batcher_specific_metric",
    "nv_trt_llm_general_metrics": "general_type",
}
"""Each family, with the label that tells its series apart."""


class Gauges:
    """The series of one model; they exist from the first report on."""

    def __init__(self, model: str, version: str) -> None:
        self._common = {"model": model, "version": version}
        kind = pb_utils.MetricFamily.GAUGE
        self._families = {name: pb_utils.MetricFamily(name=name, description=name, kind=kind) for name in _LABELS}
        self._series: dict[tuple[str, str], Any] = {}

    def report(self, load: Load) -> None:
        """Set every series."""
        for family, values in _values(load).items():
            for label, value in values.items():
                self._one(family, label).set(value)

    def _one(self, family: str, label: str) -> Any:
        if (family, label) not in self._series:
            labels = {**self._common, _LABELS[family]: label}
            self._series[family, label] = self._families[family].Metric(labels=labels)
        return self._series[family, label]


def _values(load: Load) -> dict[str, dict[str, float]]:
    return {
        "nv_trt_llm_request_metrics": {
            "active": load.waiting + load.running,
            "waiting": load.waiting,
            "scheduled": load.running,
            "context": load.reading,
            "max": load.slots,
        },
        "nv_trt_llm_kv_cache_block_metrics": {
            "used": load.used_blocks,
            "free": load.blocks - load.used_blocks,
            "max": load.blocks,
            "tokens_per": load.block_tokens,
            "fraction": load.used_blocks / load.blocks,
        },
        "nv_trt_llm_inflight_batcher_metrics": {
            "generation_requests": load.running - load.reading,
            "total_context_tokens": load.unread_tokens,
            "paused_requests": 0,
            "micro_batch_id": 0,
        },
        "nv_trt_llm_general_metrics": {"iteration_counter": load.iteration, "timestamp": time.time()},
    }
