"""A model as Triton's Python backend calls it; the three interfaces differ in their tensors alone."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils

from cpu_llm import settings, words
from cpu_llm.author import Author
from cpu_llm.batch import Batch, Job, RequestRefusedError, Times, admissible
from cpu_llm.engine import InferenceEngine
from cpu_llm.faults import FaultRefusedError, with_requested
from cpu_llm.gauges import Gauges
from cpu_llm.sampling import dice_of
from cpu_llm.settings import Settings
from cpu_llm.wire import Ask, Inputs, Responder, send_error


class ServedModel:
    """One instance. A subclass reads requests, and makes the responder that answers them."""

    max_batch_size = 0
    """What Triton is told; the engine batches all the same. Above 0 every tensor has one dimension more."""

    error_prefix = "Error generating request"
    """How the text of an error begins, when a request is refused."""

    @classmethod
    def auto_complete_config(cls, auto_complete_model_config: Any) -> Any:
        """Add to config.pbtxt what the model's settings decide."""
        triton = cls.load(Path(pb_utils.get_model_dir())).triton
        auto_complete_model_config.set_max_batch_size(cls.max_batch_size)
        auto_complete_model_config.set_model_transaction_policy({"decoupled": triton.decoupled})
        cls.complete(auto_complete_model_config)
        return auto_complete_model_config

    @classmethod
    def complete(cls, configuration: Any) -> None:
        """Add what else config.pbtxt leaves out."""

    @staticmethod
    def load(directory: Path) -> Settings:
        """The settings in a version directory."""
        return settings.load(directory)

    def read(self, request: Any) -> Ask:
        """The values of a request; raises RequestRefusedError."""
        raise NotImplementedError

    def responder(self, request: Any, ask: Ask) -> Responder:
        """What answers it."""
        raise NotImplementedError

    def initialize(self, args: dict[str, str]) -> None:
        """Read the settings, learn the corpus, start the engine."""
        threading.Thread(target=_exit_after, args=(os.getppid(),), name="parent watch", daemon=True).start()
        self._settings = self.load(Path(pb_utils.get_model_dir()))
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
                send_error(request.get_response_sender(), f"{self.error_prefix}: {error}")

    def finalize(self) -> None:
        """Let requests under way end before the model is unloaded."""
        self._engine.close()

    def _report(self, args: dict[str, str]) -> Any:
        wanted = self._settings.model.engine_metrics
        return Gauges(args["model_name"], args["model_version"]).report if wanted else lambda _: None

    def _take(self, request: Any) -> None:
        if Inputs(request).scalar("stop", default=False):
            self._stop(request)
            return
        ask, model = self.read(request), self._settings.model
        if ask.streaming and not self._settings.triton.decoupled:
            raise RequestRefusedError("Streaming is only supported in decoupled mode.")
        prompt_tokens = len(words.split(ask.prompt))
        admissible(self._settings.engine, prompt_tokens, ask.limits)
        job = Job(
            id=ask.id,
            client=self.responder(request, ask),
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
        send_error(request.get_response_sender(), "Request cancelled by client", cancelled=True)


def _exit_after(parent: int) -> None:
    """End this process within a second of Triton's end; after a crash Triton would leave it behind."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
