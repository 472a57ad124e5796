"""What Triton's Python backend calls: the CPU model behind the interface of TensorRT-LLM's llmapi model."""

from __future__ import annotations

from typing import Any

from cpu_llm import llmapi
from cpu_llm.served import ServedModel
from cpu_llm.wire import Ask, Responder


class TritonPythonModel(ServedModel):
    """One instance of the model."""

    def read(self, request: Any) -> Ask:
        """The values of a request."""
        return llmapi.read(request)

    def responder(self, request: Any, _ask: Ask) -> Responder:
        """What answers it."""
        return llmapi.LlmapiResponder(request)
