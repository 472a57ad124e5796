"""The tensors of TensorRT-LLM's legacy ensemble and of its tensorrt_llm_bls: one batch dimension, no finish reason.

Each response holds the text of its own tokens, decoded by themselves, so that a character of several tokens is lost
(U+FFFD); with `accumulate_tokens` in config.pbtxt it holds all of the text, as the BLS model does.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from cpu_llm import words
from cpu_llm.batch import Answer
from cpu_llm.sampling import Sampling
from cpu_llm.wire import FINAL, Ask, Inputs, Responder, limits, require_sensible, text_tensor

_UNSUPPORTED = ("bad_words", "embedding_bias_words", "lora_task_id", "guided_decoding_guide")


class EnsembleResponder(Responder):
    """Answers with the text of the tokens that are new."""

    def __init__(self, request: Any, *, accumulate: bool) -> None:
        super().__init__(request)
        inputs = Inputs(request)
        self._accumulate = accumulate
        self._counts_input = bool(inputs.scalar("return_num_input_tokens", default=False))
        self._counts_output = bool(inputs.scalar("return_num_output_tokens", default=False))
        self._told = 0

    def finish(self, answer: Answer) -> None:
        """Send the last response; that it was the last is said by one without a tensor, as the BLS model does."""
        self.update(answer)
        self._sender.send(flags=FINAL)

    def tensors(self, answer: Answer) -> list[Any]:
        """The new text and, where they were asked for, the numbers of tokens."""
        new, self._told = answer.pieces[self._told :], len(answer.pieces)
        text = answer.text if self._accumulate else words.readable("".join(piece.text for piece in new))
        found = [text_tensor("text_output", text, batched=True)]
        if self._counts_input:
            found.append(_count("num_input_tokens", answer.prompt_tokens))
        if self._counts_output:
            found.append(_count("num_output_tokens", len(new)))
        return found


def read(request: Any) -> Ask:
    """The values of a request.

    Raises:
        RequestRefusedError: something is missing, out of range, or not to be had on a CPU.
    """
    inputs = Inputs(request)
    inputs.refuse(*_UNSUPPORTED)
    sampling = Sampling(
        temperature=inputs.scalar("temperature"),
        top_k=inputs.scalar("top_k"),
        top_p=inputs.scalar("top_p"),
        frequency_penalty=inputs.scalar("frequency_penalty", 0.0),
        presence_penalty=inputs.scalar("presence_penalty", 0.0),
    )
    return Ask(
        id=request.request_id(),
        prompt=inputs.prompt(),
        limits=limits(inputs.scalar("max_tokens", 0), inputs.texts("stop_words")),
        sampling=require_sensible(sampling),
        seed=inputs.scalar("random_seed"),
        streaming=bool(inputs.scalar("stream", default=False)),
        parameters=json.loads(request.parameters() or "{}"),
    )


def _count(name: str, number: int) -> Any:
    return pb_utils.Tensor(name, np.array([[number]], dtype=np.int32))
