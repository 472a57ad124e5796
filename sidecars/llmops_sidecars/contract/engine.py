"""The engine behind the cache, as data."""

from __future__ import annotations

from msgspec import Struct


class TritonGrpcEngine(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="tritonGrpc"):
    """Triton over gRPC. `address` is host:port, `model` the name in Triton's repository.

    `cumulative`: each response repeats the text so far (TensorRT-LLM's llmapi layout) instead of adding to it.
    """

    address: str
    model: str = "tensorrt_llm"
    cumulative: bool = True


class TritonHttpEngine(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="tritonHttp"):
    """Triton's generate extension over HTTP; as `TritonGrpcEngine`, with a `url` for an address."""

    url: str
    model: str = "tensorrt_llm"
    cumulative: bool = True


class OpenAIEngine(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="openAI"):
    """An OpenAI-compatible provider. `url` ends before `/chat/completions`; the key is the content of a file."""

    url: str
    model: str
    key_file: str | None = None


Engine = TritonGrpcEngine | TritonHttpEngine | OpenAIEngine
