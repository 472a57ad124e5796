"""Between Triton and the engine: a request's tensors become values, an answer becomes tensors.

Names, types and oddities are those of TensorRT-LLM's llmapi model, for example that every output travels as text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from cpu_llm.batch import Answer, Limits, RequestRefusedError, Times
from cpu_llm.sampling import Sampling

DEFAULT_MAX_TOKENS = 32
"""TensorRT-LLM's own, for requests that do not say."""

_UNSUPPORTED = ("image_url", "lora_id", "lora_name", "lora_path", "lora_ckpt_source")


@dataclass(frozen=True)
class Ask:
    """A request as values; `parameters` are what came beside the tensors."""

    id: str
    prompt: str
    limits: Limits
    sampling: Sampling
    seed: int | None
    streaming: bool
    parameters: dict[str, Any]


class Inputs:
    """The input tensors of one request, by name."""

    def __init__(self, request: Any) -> None:
        self._request = request

    def given(self, name: str) -> bool:
        """Whether the request has this tensor."""
        return self._tensor(name) is not None

    def scalar(self, name: str, default: Any = None) -> Any:
        """The one value of a numeric tensor, or the default."""
        tensor = self._tensor(name)
        if tensor is None:
            return default
        values = tensor.as_numpy()
        if values.size != 1:
            raise RequestRefusedError(f"Expected a scalar tensor for tensor {name}")
        return values.item()

    def texts(self, name: str) -> tuple[str, ...]:
        """The values of a text tensor; none when it is not given."""
        tensor = self._tensor(name)
        if tensor is None:
            return ()
        try:
            return tuple(value.decode() for value in tensor.as_numpy().reshape(-1))
        except UnicodeDecodeError as error:
            raise RequestRefusedError(f"{name} is not valid UTF-8 at byte {error.start}") from error

    def _tensor(self, name: str) -> Any:
        return pb_utils.get_input_tensor_by_name(self._request, name)


class Responder:
    """The client of one request, behind Triton's response sender."""

    def __init__(self, request: Any) -> None:
        inputs = Inputs(request)
        self._sender = request.get_response_sender()
        self._wanted = [
            name
            for name in ("finish_reason", "stop_reason", "cumulative_logprob")
            if inputs.scalar(f"return_{name}", default=False)
        ]
        self._performance = bool(inputs.scalar("sampling_param_return_perf_metrics", default=False))

    def gone(self) -> bool:
        """Whether the client has cancelled or closed its stream."""
        return bool(self._sender.is_cancelled())

    def update(self, answer: Answer) -> None:
        """Send what there is so far."""
        self._sender.send(pb_utils.InferenceResponse(self._tensors(answer)))

    def finish(self, answer: Answer) -> None:
        """Send the last response."""
        tensors = self._tensors(answer) + (_performance(answer) if self._performance else [])
        self._sender.send(pb_utils.InferenceResponse(tensors), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def fail(self, message: str, *, cancelled: bool) -> None:
        """Send an error as the last response."""
        send_error(self._sender, message, cancelled=cancelled)

    def _tensors(self, answer: Answer) -> list[Any]:
        values = {
            "finish_reason": answer.reason,
            "stop_reason": answer.stop_word,
            "cumulative_logprob": answer.logprob,
        }
        return [_tensor("text_output", answer.text), *(_tensor(name, values[name]) for name in self._wanted)]


def send_error(sender: Any, message: str, *, cancelled: bool = False) -> None:
    """End a request with an error."""
    code = pb_utils.TritonError.CANCELLED if cancelled else pb_utils.TritonError.INTERNAL
    response = pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))
    sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


def read(request: Any) -> Ask:
    """The values of a request.

    Raises:
        RequestRefusedError: something is missing, out of range, or not to be had on a CPU.
    """
    inputs = Inputs(request)
    unsupported = [name for name in _UNSUPPORTED if inputs.given(name)]
    if unsupported or inputs.scalar("sampling_param_best_of", default=1) != 1:
        raise RequestRefusedError(f"not supported by this model: {', '.join(unsupported) or 'best_of above 1'}")
    prompts = inputs.texts("text_input")
    if len(prompts) != 1:
        raise RequestRefusedError(f"text_input must hold one prompt, not {len(prompts)}")
    return Ask(
        id=request.request_id(),
        prompt=prompts[0],
        limits=_limits(inputs),
        sampling=_sampling(inputs),
        seed=inputs.scalar("sampling_param_seed"),
        streaming=bool(inputs.scalar("streaming", default=False)),
        parameters=json.loads(request.parameters() or "{}"),
    )


def _limits(inputs: Inputs) -> Limits:
    max_tokens = inputs.scalar("sampling_param_max_tokens", DEFAULT_MAX_TOKENS)
    if max_tokens < 1:
        raise RequestRefusedError(f"sampling_param_max_tokens must be at least 1, not {max_tokens}")
    return Limits(max_tokens, tuple(filter(None, inputs.texts("sampling_param_stop"))))


def _sampling(inputs: Inputs) -> Sampling:
    sampling = Sampling(
        temperature=inputs.scalar("sampling_param_temperature"),
        top_k=inputs.scalar("sampling_param_top_k"),
        top_p=inputs.scalar("sampling_param_top_p"),
        frequency_penalty=inputs.scalar("sampling_param_frequency_penalty", 0.0),
        presence_penalty=inputs.scalar("sampling_param_presence_penalty", 0.0),
    )
    if (sampling.temperature or 0) < 0 or (sampling.top_k or 0) < 0:
        raise RequestRefusedError("sampling_param_temperature and sampling_param_top_k must be at least 0")
    if sampling.top_p is not None and not 0 < sampling.top_p <= 1:
        raise RequestRefusedError(f"sampling_param_top_p must be above 0 and at most 1, not {sampling.top_p}")
    return sampling


def _performance(answer: Answer) -> list[Any]:
    """Numbers of one request; nothing is ever reused or drafted here."""
    numbers = {
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
    return [_tensor(name, number) for name, number in numbers.items()]


def _nanoseconds(times: Times) -> dict[str, int]:
    seconds = {
        "arrival": times.arrival,
        "first_scheduled": times.scheduled,
        "first_token": times.first_token,
        "last_token": times.last_token,
    }
    return {f"{name}_time_ns": round((value or 0.0) * 1e9) for name, value in seconds.items()}


def _tensor(name: str, value: object) -> Any:
    return pb_utils.Tensor(name, np.array([str(value).encode()], dtype=np.object_))
