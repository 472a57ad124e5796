"""Triton: its command line, and the model repositories of the GPU engines.

Nothing but the sidecars of the same pod may talk to it, so it listens on loopback alone. What can change models, read
memory or write logs is behind a header that nobody sends: its value is derived from the object's uid and never used.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import yaml

from llmops_operator.api.llmdeployment import ModelRepositoryEngine, TensorRTLLMEngine, VLLMEngine
from llmops_operator.desired.facts import Facts
from llmops_operator.desired.paths import MODEL_DIRECTORY

LOOPBACK = "127.0.0.1"
HTTP_PORT, GRPC_PORT, METRICS_PORT = 8000, 8001, 8002
HTTP_URL = f"http://{LOOPBACK}:{HTTP_PORT}"
GRPC_ADDRESS = f"{LOOPBACK}:{GRPC_PORT}"

EXIT_TIMEOUT_SECONDS = 30
"""Triton's default, said aloud: after TERM it waits so long for open connections; the drained cache has none."""

LLMAPI_MODEL = "tensorrt_llm"
LLMAPI_REPOSITORY = "/app/all_models/llmapi"
"""Where NVIDIA's images keep the model's code; our two configuration files are mounted into it."""

VLLM_MODEL = "vllm_model"
VLLM_REPOSITORY = "/models"

RESTRICTED = "model-repository,model-config,shared-memory,statistics,trace,logging"
RESPONSES_IN_MEMORY = 64
"""Per gRPC stream; unbounded by default, so that a reader who does not read would fill the memory."""

CONFIG_FILE, LLMAPI_FILE, VLLM_FILE = "config.pbtxt", "model.yaml", "model.json"


def command(facts: Facts) -> list[str]:
    """The command line. Sources of flags and traps: Triton's `--help`, the notes in docs/dev/controlplane.md."""
    header = f"{RESTRICTED}:llmops-admin={_nobody_knows(facts.uid)}"
    return [
        "tritonserver",
        f"--model-repository={repository(facts)}",
        "--model-control-mode=none",  # poll and explicit let whoever reaches the repository or the API run code
        "--strict-readiness=true",
        f"--exit-timeout-secs={EXIT_TIMEOUT_SECONDS}",
        f"--http-address={LOOPBACK}",
        f"--http-port={HTTP_PORT}",
        f"--grpc-address={LOOPBACK}",
        f"--grpc-port={GRPC_PORT}",
        f"--metrics-address={LOOPBACK}",
        f"--metrics-port={METRICS_PORT}",
        f"--allow-gpu-metrics={str(facts.on_gpus).lower()}",
        "--allow-sagemaker=false",
        "--allow-vertex-ai=false",
        f"--http-restricted-api={header}",
        f"--grpc-restricted-protocol={header}",
        "--backend-config=python,shm-region-prefix-name=llmops-",
        *_newer_flags(facts),
    ]


def repository(facts: Facts) -> str:
    """The model repository's directory in the container."""
    match facts.engine:
        case ModelRepositoryEngine() as engine:
            return engine.path
        case VLLMEngine():
            return VLLM_REPOSITORY
        case _:
            return LLMAPI_REPOSITORY


def files(facts: Facts) -> dict[str, str]:
    """The files that we add to the repository, by their path below it; none for an image that brings its own."""
    match facts.engine:
        case TensorRTLLMEngine() as engine:
            return {
                f"{LLMAPI_MODEL}/{CONFIG_FILE}": llmapi_configuration(),
                f"{LLMAPI_MODEL}/1/{LLMAPI_FILE}": llmapi_arguments(engine),
            }
        case VLLMEngine() as engine:
            return {
                f"{VLLM_MODEL}/{CONFIG_FILE}": vllm_configuration(),
                f"{VLLM_MODEL}/1/{VLLM_FILE}": vllm_arguments(engine),
            }
        case _:
            return {}


def llmapi_arguments(engine: TensorRTLLMEngine) -> str:
    """`model.yaml`: the arguments of TensorRT-LLM's LLM class, the user's own last, and what Triton is told."""
    document = {
        "model": MODEL_DIRECTORY,
        "backend": "pytorch",
        "tensor_parallel_size": engine.tensor_parallel_size,
        "pipeline_parallel_size": engine.pipeline_parallel_size,
        "max_batch_size": engine.max_batch_size,
        **({"max_seq_len": engine.max_sequence_length} if engine.max_sequence_length else {}),
    }
    arguments: dict[str, Any] = dict(engine.arguments)
    memory = {"free_gpu_memory_fraction": float(engine.kv_cache_fraction), **arguments.pop("kv_cache_config", {})}
    told = {"max_batch_size": 0, "decoupled": True}  # the engine batches, and without `decoupled` nothing streams
    return yaml.safe_dump({**document, **arguments, "kv_cache_config": memory, "triton_config": told}, sort_keys=False)


def vllm_arguments(engine: VLLMEngine) -> str:
    """`model.json`: the arguments of vLLM's engine, the user's own last."""
    document = {
        "model": MODEL_DIRECTORY,
        "tensor_parallel_size": engine.tensor_parallel_size,
        **engine.arguments,
    }
    return json.dumps(document, indent=1) + "\n"


_LLMAPI_INPUTS = {
    "text_input": "STRING",
    "streaming": "BOOL",
    "stop": "BOOL",
    "sampling_param_temperature": "FP32",
    "sampling_param_top_k": "INT32",
    "sampling_param_top_p": "FP32",
    "sampling_param_frequency_penalty": "FP32",
    "sampling_param_presence_penalty": "FP32",
    "sampling_param_max_tokens": "INT32",
    "sampling_param_stop": "STRING",
    "sampling_param_seed": "UINT64",
    "sampling_param_best_of": "INT32",
    "sampling_param_exclude_input_from_output": "BOOL",
    "sampling_param_return_perf_metrics": "BOOL",
    "return_finish_reason": "BOOL",
    "return_stop_reason": "BOOL",
    "return_cumulative_logprob": "BOOL",
}
"""What a request may say to the llmapi model, and in which type (TensorRT-LLM, triton_backend/all_models/llmapi)."""

_LLMAPI_OUTPUTS = {
    "text_output": "STRING",
    "finish_reason": "STRING",
    "stop_reason": "STRING",
    "cumulative_logprob": "FP32",
    "arrival_time_ns": "INT64",
    "first_scheduled_time_ns": "INT64",
    "first_token_time_ns": "INT64",
    "last_token_time_ns": "INT64",
}
_REQUIRED = frozenset({"text_input"})
_LISTS = frozenset({"text_input", "sampling_param_stop"})


def llmapi_configuration() -> str:
    """`config.pbtxt` of the llmapi model; batch size and decoupled mode come from `model.yaml` when it is loaded."""
    inputs = "".join(
        _tensor("input", name, kind, "-1" if name in _LISTS else "1") for name, kind in _LLMAPI_INPUTS.items()
    )
    outputs = "".join(_tensor("output", name, kind, "-1") for name, kind in _LLMAPI_OUTPUTS.items())
    return f'name: "{LLMAPI_MODEL}"\nbackend: "python"\n{_instance("KIND_CPU")}{inputs}{outputs}'


def vllm_configuration() -> str:
    """`config.pbtxt` of the vLLM backend's model: the backend adds inputs, outputs and decoupled mode by itself."""
    return f'name: "{VLLM_MODEL}"\nbackend: "vllm"\n{_instance("KIND_MODEL")}'


def _instance(kind: str) -> str:
    return f"instance_group [ {{ count: 1 kind: {kind} }} ]\n"


def _tensor(direction: str, name: str, kind: str, dimensions: str) -> str:
    optional = " optional: true" if direction == "input" and name not in _REQUIRED else ""
    return f'{direction} [ {{ name: "{name}" data_type: TYPE_{kind} dims: [ {dimensions} ]{optional} }} ]\n'


def _newer_flags(facts: Facts) -> list[str]:
    """Flags that NVIDIA's images have and an older Triton in a user's own image may not know."""
    if isinstance(facts.engine, ModelRepositoryEngine):
        return []
    return [f"--grpc-max-response-pool-size={RESPONSES_IN_MEMORY}"]


def _nobody_knows(uid: str) -> str:
    return hashlib.sha256(f"llmops-restricted:{uid}".encode()).hexdigest()
