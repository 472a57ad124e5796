"""The CPU model behind the interface of TensorRT-LLM's legacy ensemble, which is also that of its tensorrt_llm_bls."""

from __future__ import annotations

import json
from typing import Any

from cpu_llm import ensemble
from cpu_llm.served import ServedModel
from cpu_llm.wire import Ask, Responder


class TritonPythonModel(ServedModel):
    """One instance of the model."""

    max_batch_size = 8

    def initialize(self, args: dict[str, str]) -> None:
        """Read what config.pbtxt says too."""
        super().initialize(args)
        parameters = json.loads(args["model_config"])["parameters"]
        self._accumulate = parameters.get("accumulate_tokens", {}).get("string_value") == "true"

    def read(self, request: Any) -> Ask:
        """The values of a request."""
        return ensemble.read(request)

    def responder(self, request: Any, _ask: Ask) -> Responder:
        """What answers it."""
        return ensemble.EnsembleResponder(request, accumulate=self._accumulate)
