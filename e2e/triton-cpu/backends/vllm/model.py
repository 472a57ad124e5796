"""The CPU model as Triton's vLLM backend: a backend written in Python, so that `backend: "vllm"` finds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cpu_llm import vllm
from cpu_llm.served import ServedModel
from cpu_llm.settings import Settings
from cpu_llm.wire import Ask, Responder


class TritonPythonModel(ServedModel):
    """One instance of the model."""

    error_prefix = "Error generating stream"

    @classmethod
    def complete(cls, configuration: Any) -> None:
        """Add all inputs and outputs."""
        vllm.complete(configuration)

    @staticmethod
    def load(directory: Path) -> Settings:
        """The settings in `model.json`."""
        return vllm.load(directory)

    def read(self, request: Any) -> Ask:
        """The values of a request."""
        return vllm.read(request)

    def responder(self, request: Any, ask: Ask) -> Responder:
        """What answers it."""
        return vllm.VllmResponder(request, ask.limits.stop)
