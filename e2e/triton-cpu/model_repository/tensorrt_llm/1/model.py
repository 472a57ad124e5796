"""What Triton's Python backend calls: the CPU model behind the interface of TensorRT-LLM's llmapi model."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils
from cpu_llm import settings, wire, words
from cpu_llm.author import Author
from cpu_llm.batch import Batch, Job, RequestRefusedError, Times, admissible
from cpu_llm.engine import InferenceEngine
from cpu_llm.faults import FaultRefusedError, with_requested
from cpu_llm.gauges import Gauges
from cpu_llm.sampling import dice_of

VERSION_DIRECTORY = Path(__file__).parent


class TritonPythonModel:
    """One instance of the model."""

    @staticmethod
    def auto_complete_config(auto_complete_model_config: Any) -> Any:
        """Add to config.pbtxt what model.yaml decides."""
        triton = settings.load(VERSION_DIRECTORY).triton
        auto_complete_model_config.set_max_batch_size(0)
        auto_complete_model_config.set_model_transaction_policy({"decoupled": triton.decoupled})
        return auto_complete_model_config

    def initialize(self, args: dict[str, str]) -> None:
        """Read the settings, learn the corpus, start the engine."""
        threading.Thread(target=_exit_after, args=(os.getppid(),), name="parent watch", daemon=True).start()
        self._settings = settings.load(VERSION_DIRECTORY)
        if self._settings.ignored:
            pb_utils.Logger.log_info(f"without a meaning on a CPU: {', '.join(self._settings.ignored)}")
        time.sleep(self._settings.model.load_seconds)
        self._author = Author(self._settings.model)
        self._engine = InferenceEngine(
            batch=Batch(self._settings.engine, self._settings.triton.cancel_seconds),
            iteration_seconds=self._settings.model.iteration_seconds,
            report=self._report(args),
            log=pb_utils.Logger.log_error,
        )
        self._engine.start()

    def execute(self, requests: list[Any]) -> None:
        """Take requests in; the engine answers them later, through their response senders."""
        for request in requests:
            try:
                self._take(request)
            except (RequestRefusedError, FaultRefusedError) as error:
                wire.send_error(request.get_response_sender(), f"Error generating request: {error}")

    def finalize(self) -> None:
        """Let requests under way end before the model is unloaded."""
        self._engine.close()

    def _report(self, args: dict[str, str]) -> Any:
        wanted = self._settings.model.engine_metrics
        return Gauges(args["model_name"], args["model_version"]).report if wanted else lambda _: None

    def _take(self, request: Any) -> None:
        if wire.Inputs(request).scalar("stop", default=False):
            self._stop(request)
            return
        ask, model = wire.read(request), self._settings.model
        if ask.streaming and not self._settings.triton.decoupled:
            raise RequestRefusedError("Streaming is only supported in decoupled mode.")
        prompt_tokens = len(words.split(ask.prompt))
        admissible(self._settings.engine, prompt_tokens, ask.limits)
        job = Job(
            id=ask.id,
            client=wire.Responder(request),
            pieces=self._author.write(ask.prompt, ask.sampling, dice_of(ask.seed)),
            prompt_tokens=prompt_tokens,
            limits=ask.limits,
            streaming=ask.streaming,
            faults=with_requested(model.faults, ask.parameters, allowed=model.faults_in_requests),
            times=Times(arrival=time.monotonic()),
        )
        self._engine.submit(job)

    def _stop(self, request: Any) -> None:
        """End the requests that have this one's id; itself it is answered with an error, as by TensorRT-LLM."""
        if not request.request_id():
            raise RequestRefusedError("A request id must be provided for request cancellation")
        self._engine.stop(request.request_id())
        wire.send_error(request.get_response_sender(), "Request cancelled by client", cancelled=True)


def _exit_after(parent: int) -> None:
    """End this process within a second of Triton's end; after a crash Triton would leave it behind."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
