"""The engine behind the cache, as data."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct


class TritonInterface(StrEnum):
    """Which inputs and outputs a generating model in Triton has.

    LLMAPI: TensorRT-LLM's llmapi model. Ensemble: TensorRT-LLM's older ensemble and tensorrt_llm_bls. VLLM: the model
    of Triton's vLLM backend.
    """

    LLMAPI = "LLMAPI"
    ENSEMBLE = "Ensemble"
    VLLM = "VLLM"


class TritonLayout(StrEnum):
    """Whether each response repeats the text so far, or adds to it."""

    CUMULATIVE = "Cumulative"
    DELTA = "Delta"


class TritonEmbedding(Struct, frozen=True, forbid_unknown_fields=True):
    """A model of the same Triton that turns texts into vectors: its name, its text input, its output of numbers."""

    model: str
    input: str
    output: str


class TritonGrpcEngine(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="tritonGrpc"):
    """Triton over gRPC. `address` is host:port, `model` the name in Triton's repository.

    `layout` is for models that stream otherwise than their interface does; None is as the interface.
    """

    address: str
    model: str = "tensorrt_llm"
    interface: TritonInterface = TritonInterface.LLMAPI
    layout: TritonLayout | None = None
    embedding: TritonEmbedding | None = None


class TritonHttpEngine(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="tritonHttp"):
    """Triton's generate extension over HTTP; as `TritonGrpcEngine`, with a `url` for an address."""

    url: str
    model: str = "tensorrt_llm"
    interface: TritonInterface = TritonInterface.LLMAPI
    layout: TritonLayout | None = None
    embedding: TritonEmbedding | None = None


class OpenAIEngine(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="openAI"):
    """An OpenAI-compatible provider. `url` ends before `/chat/completions`; the key is the content of a file.

    `further_urls` are more addresses of the same model under the same key; requests go to all of them in turn.
    """

    url: str
    model: str
    key_file: str | None = None
    further_urls: tuple[str, ...] = ()


class BenchmarkEngine(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="benchmark"):
    """No engine: made-up text of so many tokens at a fixed pace, in seconds, so that the path alone can be measured."""

    tokens: Annotated[int, Meta(ge=1)] = 64
    first_token_seconds: Annotated[float, Meta(ge=0)] = 0.0
    inter_token_seconds: Annotated[float, Meta(ge=0)] = 0.0


Engine = TritonGrpcEngine | TritonHttpEngine | OpenAIEngine | BenchmarkEngine
