"""The tensors of Triton's vLLM backend: new text only, counts on request, sampling parameters as one JSON text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from cpu_llm import settings, words
from cpu_llm.batch import Answer, Limits, RequestRefusedError
from cpu_llm.ngram import Piece
from cpu_llm.sampling import Sampling
from cpu_llm.wire import Ask, Inputs, Responder, limits, require_sensible, text_tensor

DEFAULT_MAX_TOKENS = 16
"""vLLM's own, for requests that do not say."""

INPUTS = {
    "text_input": "TYPE_STRING",
    "stream": "TYPE_BOOL",
    "sampling_parameters": "TYPE_STRING",
    "exclude_input_in_output": "TYPE_BOOL",
    "return_finish_reason": "TYPE_BOOL",
    "return_cumulative_logprob": "TYPE_BOOL",
    "return_logprobs": "TYPE_BOOL",
    "return_num_input_tokens": "TYPE_BOOL",
    "return_num_output_tokens": "TYPE_BOOL",
}
OUTPUTS = {
    "text_output": "TYPE_STRING",
    "finish_reason": "TYPE_STRING",
    "cumulative_logprob": "TYPE_FP32",
    "logprobs": "TYPE_STRING",
    "num_input_tokens": "TYPE_UINT32",
    "num_output_tokens": "TYPE_UINT32",
}
_PARAMETERS = frozenset(
    {"max_tokens", "temperature", "top_k", "top_p", "frequency_penalty", "presence_penalty", "seed", "stop", "logprobs"}
)
_ARGUMENTS = {
    "max_num_seqs": "max_batch_size",
    "max_model_len": "max_seq_len",
    "max_num_batched_tokens": "max_num_tokens",
}
"""vLLM's names of the sizes that this engine has under TensorRT-LLM's."""


class VllmResponder(Responder):
    """Answers with what is new; a text that may be the beginning of a stop word waits, as it does in vLLM."""

    def __init__(self, request: Any, stop_words: Sequence[str]) -> None:
        super().__init__(request)
        inputs = Inputs(request)
        self._wanted = {name for name in OUTPUTS if inputs.scalar(f"return_{name}", default=False)}
        self._held = max((len(word) - 1 for word in stop_words), default=0)
        self._told = self._sent = 0

    def tensors(self, answer: Answer) -> list[Any]:
        """The new text, and what else was asked for."""
        new, self._told = answer.pieces[self._told :], len(answer.pieces)
        made = {
            "finish_reason": lambda: text_tensor("finish_reason", answer.reason),
            "cumulative_logprob": lambda: _numbers("cumulative_logprob", answer.logprob, np.float32),
            "logprobs": lambda: text_tensor("logprobs", json.dumps([_positions(piece) for piece in new])),
            "num_input_tokens": lambda: _numbers("num_input_tokens", answer.prompt_tokens, np.uint32),
            "num_output_tokens": lambda: _numbers("num_output_tokens", len(new), np.uint32),
        }
        return [text_tensor("text_output", self._new(answer)), *(made[name]() for name in made if name in self._wanted)]

    def _new(self, answer: Answer) -> str:
        text = _up_to_stop_word(answer) if answer.reason is not None else answer.text.rstrip("\ufffd")
        end = len(text) if answer.reason is not None else max(self._sent, len(text) - self._held)
        new, self._sent = text[self._sent : end], end
        return new


def _up_to_stop_word(answer: Answer) -> str:
    """The text as vLLM cuts it: nothing of a stop word, since none of it was sent."""
    if answer.stop_word is None:
        return answer.text
    return words.readable("".join(piece.text for piece in answer.pieces)).partition(answer.stop_word)[0]


def complete(configuration: Any) -> None:
    """Add what config.pbtxt leaves out: all inputs and outputs."""
    for name, kind in INPUTS.items():
        configuration.add_input({"name": name, "data_type": kind, "dims": [1], "optional": name != "text_input"})
    for name, kind in OUTPUTS.items():
        configuration.add_output({"name": name, "data_type": kind, "dims": [-1]})


def load(directory: Path) -> settings.Settings:
    """The settings that `model.json` stands for; `cpu_model` in it is as in `model.yaml`."""
    path = directory / "model.json"
    try:
        arguments = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise settings.SettingsError(f"{path}: {error}") from error
    document = {_ARGUMENTS.get(name, name): value for name, value in arguments.items()}
    told = {"max_batch_size": 0, "decoupled": True, "cancellation_check_period_ms": 0}
    return settings.parse({**document, "triton_config": told}, directory)


def read(request: Any) -> Ask:
    """The values of a request.

    Raises:
        RequestRefusedError: something is missing, out of range, unknown, or not to be had on a CPU.
    """
    inputs = Inputs(request)
    streaming = bool(inputs.scalar("stream", default=False))
    if streaming and not inputs.scalar("exclude_input_in_output", default=True):
        raise RequestRefusedError("When streaming, `exclude_input_in_output` = False is not allowed.")
    parameters = _parameters(inputs.texts("sampling_parameters"))
    told = parameters.get("logprobs") if inputs.scalar("return_logprobs", default=False) else None
    sampling = Sampling(
        temperature=parameters.get("temperature", 1.0),
        top_k=parameters.get("top_k"),
        top_p=parameters.get("top_p"),
        frequency_penalty=parameters.get("frequency_penalty", 0.0),
        presence_penalty=parameters.get("presence_penalty", 0.0),
        told=told or 0,
    )
    return Ask(
        id=request.request_id(),
        prompt=inputs.prompt(),
        limits=_limits(parameters),
        sampling=require_sensible(sampling),
        seed=parameters.get("seed"),
        streaming=streaming,
        parameters=json.loads(request.parameters() or "{}"),
    )


def _parameters(texts: Sequence[str]) -> dict[str, Any]:
    """The sampling parameters; as in vLLM, what it does not know is refused."""
    parameters = json.loads(texts[0]) if texts else {}
    unknown = parameters.keys() - _PARAMETERS
    if unknown:
        raise RequestRefusedError(f"Unexpected keyword argument '{min(unknown)}'")
    return dict(parameters)


def _limits(parameters: dict[str, Any]) -> Limits:
    stop = parameters.get("stop") or []
    return limits(parameters.get("max_tokens", DEFAULT_MAX_TOKENS), (stop,) if isinstance(stop, str) else tuple(stop))


def _positions(piece: Piece) -> dict[str, Any]:
    """One position: the token that was taken, then the likeliest, by ids that are made up here."""
    taken = (piece.text, piece.logprob)
    ranked = {word: (rank, logprob) for rank, (word, logprob) in enumerate(piece.likely, start=1)}
    tokens = dict([taken, *piece.likely])
    return {
        str(number): {"logprob": logprob, "rank": ranked.get(word, (None,))[0], "decoded_token": _decoded(word)}
        for number, (word, logprob) in enumerate(tokens.items())
    }


def _decoded(word: str) -> str:
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _numbers(name: str, value: float, kind: Any) -> Any:
    return pb_utils.Tensor(name, np.array([value], dtype=kind))
