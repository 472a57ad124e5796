"""The tensors of TensorRT-LLM's llmapi model: names, types and oddities, for example that every output is text."""

from __future__ import annotations

import json
from typing import Any

from cpu_llm.batch import Answer, RequestRefusedError, Times
from cpu_llm.sampling import Sampling
from cpu_llm.wire import Ask, Inputs, Responder, limits, require_sensible, text_tensor

DEFAULT_MAX_TOKENS = 32
"""TensorRT-LLM's own, for requests that do not say."""

_UNSUPPORTED = ("image_url", "lora_id", "lora_name", "lora_path", "lora_ckpt_source")
_EXTRAS = ("finish_reason", "stop_reason", "cumulative_logprob")


class LlmapiResponder(Responder):
    """Answers with all of the text each time."""

    def __init__(self, request: Any) -> None:
        super().__init__(request)
        inputs = Inputs(request)
        self._wanted = [name for name in _EXTRAS if inputs.scalar(f"return_{name}", default=False)]
        self._performance = bool(inputs.scalar("sampling_param_return_perf_metrics", default=False))

    def tensors(self, answer: Answer) -> list[Any]:
        """The text so far, and what else was asked for; performance numbers with the last one only."""
        values = {
            "finish_reason": answer.reason,
            "stop_reason": answer.stop_word,
            "cumulative_logprob": answer.logprob,
        }
        numbers = _performance(answer) if self._performance and answer.reason is not None else {}
        return [
            text_tensor("text_output", answer.text),
            *(text_tensor(name, values[name]) for name in self._wanted),
            *(text_tensor(name, number) for name, number in numbers.items()),
        ]


def read(request: Any) -> Ask:
    """The values of a request.

    Raises:
        RequestRefusedError: something is missing, out of range, or not to be had on a CPU.
    """
    inputs = Inputs(request)
    inputs.refuse(*_UNSUPPORTED)
    if inputs.scalar("sampling_param_best_of", default=1) != 1:
        raise RequestRefusedError("not supported by this model: best_of above 1")
    max_tokens = inputs.scalar("sampling_param_max_tokens", DEFAULT_MAX_TOKENS)
    return Ask(
        id=request.request_id(),
        prompt=inputs.prompt(),
        limits=limits(max_tokens, inputs.texts("sampling_param_stop")),
        sampling=_sampling(inputs),
        seed=inputs.scalar("sampling_param_seed"),
        streaming=bool(inputs.scalar("streaming", default=False)),
        parameters=json.loads(request.parameters() or "{}"),
    )


def _sampling(inputs: Inputs) -> Sampling:
    return require_sensible(
        Sampling(
            temperature=inputs.scalar("sampling_param_temperature"),
            top_k=inputs.scalar("sampling_param_top_k"),
            top_p=inputs.scalar("sampling_param_top_p"),
            frequency_penalty=inputs.scalar("sampling_param_frequency_penalty", 0.0),
            presence_penalty=inputs.scalar("sampling_param_presence_penalty", 0.0),
        )
    )


def _performance(answer: Answer) -> dict[str, float]:
    """Numbers of one request; nothing is ever reused or drafted here."""
    return {
        "kv_cache_reused_block": 0,
        "kv_cache_missed_block": answer.blocks,
        "kv_cache_alloc_new_blocks": answer.blocks,
        "kv_cache_alloc_total_blocks": answer.blocks,
        "kv_cache_hit_rate": 0.0,
        **_nanoseconds(answer.times),
        "acceptance_rate": 0.0,
        "total_accepted_draft_tokens": 0,
        "total_draft_tokens": 0,
    }


def _nanoseconds(times: Times) -> dict[str, int]:
    seconds = {
        "arrival": times.arrival,
        "first_scheduled": times.scheduled,
        "first_token": times.first_token,
        "last_token": times.last_token,
    }
    return {f"{name}_time_ns": round((value or 0.0) * 1e9) for name, value in seconds.items()}
