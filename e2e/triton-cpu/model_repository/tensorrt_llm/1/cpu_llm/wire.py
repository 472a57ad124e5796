"""Between Triton and the engine, whatever the tensors are called: inputs as values, and responses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from cpu_llm.batch import Answer, Limits, RequestRefusedError
from cpu_llm.sampling import Sampling


@dataclass(frozen=True)
class Ask:
    """A request as values; `parameters` are what came beside the tensors."""

    id: str
    prompt: str
    limits: Limits
    sampling: Sampling
    seed: int | None
    streaming: bool
    parameters: dict[str, Any] = field(default_factory=dict)


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

    def prompt(self) -> str:
        """The one text of `text_input`."""
        prompts = self.texts("text_input")
        if len(prompts) != 1:
            raise RequestRefusedError(f"text_input must hold one prompt, not {len(prompts)}")
        return prompts[0]

    def refuse(self, *names: str) -> None:
        """Raises RequestRefusedError for tensors that the model on a GPU takes and this one cannot."""
        given = [name for name in names if self.given(name)]
        if given:
            raise RequestRefusedError(f"not supported by this model: {', '.join(given)}")

    def _tensor(self, name: str) -> Any:
        return pb_utils.get_input_tensor_by_name(self._request, name)


class Responder:
    """The client of one request, behind Triton's response sender; subclasses say which tensors an answer is."""

    def __init__(self, request: Any) -> None:
        self._sender = request.get_response_sender()

    def gone(self) -> bool:
        """Whether the client has cancelled or closed its stream."""
        return bool(self._sender.is_cancelled())

    def update(self, answer: Answer) -> None:
        """Send what there is so far."""
        self._sender.send(pb_utils.InferenceResponse(self.tensors(answer)))

    def finish(self, answer: Answer) -> None:
        """Send the last response."""
        self._sender.send(pb_utils.InferenceResponse(self.tensors(answer)), flags=FINAL)

    def fail(self, message: str, *, cancelled: bool) -> None:
        """Send an error as the last response."""
        send_error(self._sender, message, cancelled=cancelled)

    def tensors(self, answer: Answer) -> list[Any]:
        """The outputs of one response."""
        raise NotImplementedError


FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


def send_error(sender: Any, message: str, *, cancelled: bool = False) -> None:
    """End a request with an error."""
    code = pb_utils.TritonError.CANCELLED if cancelled else pb_utils.TritonError.INTERNAL
    response = pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))
    sender.send(response, flags=FINAL)


def text_tensor(name: str, value: object, *, batched: bool = False) -> Any:
    """An output of one text."""
    array = np.array([str(value).encode()], dtype=np.object_)
    return pb_utils.Tensor(name, array.reshape(1, 1) if batched else array)


def require_sensible(sampling: Sampling) -> Sampling:
    """The parameters themselves; raises RequestRefusedError for what no model could use."""
    if (sampling.temperature or 0) < 0 or (sampling.top_k or 0) < 0:
        raise RequestRefusedError("temperature and top_k must be at least 0")
    if sampling.top_p is not None and not 0 < sampling.top_p <= 1:
        raise RequestRefusedError(f"top_p must be above 0 and at most 1, not {sampling.top_p}")
    return sampling


def limits(max_tokens: int, stop_words: tuple[str, ...]) -> Limits:
    """Where an answer ends; raises RequestRefusedError."""
    if max_tokens < 1:
        raise RequestRefusedError(f"max_tokens must be at least 1, not {max_tokens}")
    return Limits(max_tokens, tuple(filter(None, stop_words)))
