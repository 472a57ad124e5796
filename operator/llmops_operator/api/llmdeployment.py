"""`LLMDeployment`: one served model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, JsonValue, StrictInt, model_validator

from llmops_operator.api.access import Access
from llmops_operator.api.common import (
    Conditions,
    DecimalText,
    Duration,
    Image,
    Model,
    Name,
    ObjectName,
    ObjectReference,
    Quantity,
    SecretKey,
    chosen,
)
from llmops_operator.api.rules import FieldRule, Unique, amount_between, rules, seconds_between, share
from llmops_operator.api.sources import AbsolutePath, ImageSource, VolumeSource

ModelName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$")]
TensorName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.:/-]+$")]
Url = Annotated[str, Field(max_length=1024, pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]

Parallel = Annotated[StrictInt, Field(ge=1, le=64)]
Seconds = Annotated[StrictInt, Field(ge=1, le=3600)]
LabelValue = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
LABEL_KEY = "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
LabelKey = Annotated[str, Field(max_length=317, pattern=LABEL_KEY)]

ONE_SOURCE = "give exactly one of huggingFace, volume, image"
AT_MOST_ONE = (
    "[has(self.tensorRTLLM), has(self.vLLM), has(self.modelRepository), has(self.external), has(self.benchmark)]"
    ".filter(x, x).size() <= 1"
)
VALUE_OF_EXISTS = "a value goes with the operator Equal; Exists takes none"
UNKNOWN_DEFAULT = "default must be one of templates"
ONE_ENGINE = "give at most one of tensorRTLLM, vLLM, modelRepository, external, benchmark"
STORE_URL = (
    "^(valkey|valkeys|redis|rediss)://([A-Za-z0-9_.-]{1,64}@)?"
    "[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
    "(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[0-9]{1,4})?$"
)
StoreUrl = Annotated[str, Field(max_length=400, pattern=STORE_URL)]
"""It holds no password: specs are no place for secrets."""

CA_NEEDS_TLS = "caSecretName needs a URL of valkeys:// or rediss://"
USER_NEEDS_PASSWORD = "a user in the URL needs credentialsSecretRef"  # noqa: S105 - a message
SHARED_NEEDS_EXACT = "shared needs exact: it says for how long answers are kept"
NO_FALLBACK = "a benchmark engine has no fallback: what is measured must not change"


class HuggingFaceSource(Model):
    """A model on the Hugging Face hub, fetched once per pod at a pinned commit."""

    repository: Annotated[
        str, Field(max_length=192, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$")
    ] = Field(description="Owner and name, such as meta-llama/Llama-3.1-8B-Instruct.")
    revision: Annotated[str, Field(max_length=40, pattern=r"^[0-9a-f]{40}$")] = Field(
        description="The commit, 40 hexadecimal digits. A branch or tag could change under running pods."
    )
    token_secret_ref: SecretKey | None = Field(default=None, description="The access token for a gated repository.")


class ModelSource(Model):
    """Where the model's files come from: exactly one."""

    model_config = rules(
        ("[has(self.huggingFace), has(self.volume), has(self.image)].filter(x, x).size() == 1", ONE_SOURCE)
    )

    hugging_face: HuggingFaceSource | None = Field(default=None, description="A commit on the Hugging Face hub.")
    volume: VolumeSource | None = Field(default=None, description="A directory of a volume.")
    image: ImageSource | None = Field(default=None, description="An image volume.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(chosen(self, "hugging_face", "volume", "image")) != 1:
            raise ValueError(ONE_SOURCE)
        return self


class ServedModel(Model):
    """The model, as clients name it, and where its files are."""

    name: ModelName = Field(description='What clients send as "model".')
    license: Annotated[str, Field(max_length=128)] | None = Field(default=None, description="Its licence, for people.")
    source: ModelSource | None = Field(default=None, description="Where its files come from.")


Arguments = Annotated[dict[str, JsonValue], Field(max_length=64)]
PRESERVE: dict[str, JsonValue] = {"x-kubernetes-preserve-unknown-fields": True}


class TensorRTLLMEngine(Model):
    """Triton with TensorRT-LLM's llmapi model."""

    image: Image | None = Field(default=None, description="Triton's image; the operator's default when left out.")
    tensor_parallel_size: Parallel = Field(default=1, description="GPUs that share each layer.")
    pipeline_parallel_size: Parallel = Field(default=1, description="Groups of GPUs that share the layers.")
    max_batch_size: StrictInt = Field(default=64, ge=1, le=4096, description="Sequences that run at once in one pod.")
    max_sequence_length: StrictInt | None = Field(
        default=None, ge=16, le=10_000_000, description="Prompt and answer together, in tokens; the model's by default."
    )
    kv_cache_fraction: Annotated[DecimalText, share()] = Field(
        default="0.9", description="The share of the GPU memory left by the weights that the KV cache takes, as text."
    )
    arguments: Arguments = Field(
        default_factory=dict,
        description="Further keys of model.yaml, as TensorRT-LLM's LLM class names them.",
        json_schema_extra=PRESERVE,
    )

    @model_validator(mode="after")
    def _arguments_are_further_ones(self) -> Self:
        _require_further(self.arguments, TENSORRT_LLM_KEYS)
        memory = self.arguments.get("kv_cache_config", {})
        if not isinstance(memory, dict):
            raise ValueError("arguments.kv_cache_config must be an object")  # noqa: TRY004 - pydantic takes no other
        _require_further(memory, {"free_gpu_memory_fraction": "kvCacheFraction"})
        return self


class VLLMEngine(Model):
    """Triton with the vLLM backend."""

    image: Image | None = Field(default=None, description="Triton's image; the operator's default when left out.")
    tensor_parallel_size: Parallel = Field(default=1, description="GPUs that share each layer.")
    arguments: Arguments = Field(
        default_factory=dict,
        description="Further engine arguments of vLLM, as model.json names them.",
        json_schema_extra=PRESERVE,
    )

    @model_validator(mode="after")
    def _arguments_are_further_ones(self) -> Self:
        _require_further(self.arguments, VLLM_KEYS)
        return self


TENSORRT_LLM_KEYS = {
    "model": "model.source",
    "tensor_parallel_size": "tensorParallelSize",
    "pipeline_parallel_size": "pipelineParallelSize",
    "max_batch_size": "maxBatchSize",
    "max_seq_len": "maxSequenceLength",
    "triton_config": "the operator",
}
VLLM_KEYS = {
    "model": "model.source",
    "tensor_parallel_size": "tensorParallelSize",
    "pipeline_parallel_size": "tensorParallelSize",
}
"""Arguments that a field decides, so that resources and arguments cannot disagree; by the field's name."""


def _require_further(arguments: Mapping[str, JsonValue], decided: Mapping[str, str]) -> None:
    """Raises ValueError for an argument that a field decides. The server cannot check it: it knows no key of these."""
    for key in sorted(arguments.keys() & decided.keys()):
        raise ValueError(f"arguments.{key} must be left out: {decided[key]} decides it")


class Protocol(StrEnum):
    """How the sidecars speak to Triton."""

    GRPC = "GRPC"
    HTTP = "HTTP"


class Interface(StrEnum):
    """Whose inputs and outputs a generating model has."""

    LLMAPI = "LLMAPI"
    ENSEMBLE = "Ensemble"
    VLLM = "VLLM"


class Layout(StrEnum):
    """Whether a streamed response repeats the text so far or adds to it."""

    CUMULATIVE = "Cumulative"
    DELTA = "Delta"


class EmbeddingModel(Model):
    """A model of the same repository that turns a text into a vector."""

    model: ModelName = Field(description="Its name.")
    input: TensorName = Field(description="Its input, of the type TYPE_STRING.")
    output: TensorName = Field(description="Its output: the vector, of the type TYPE_FP32, TYPE_FP16 or TYPE_FP64.")


class ModelRepositoryEngine(Model):
    """A Triton image that brings its own model repository, on GPUs or not."""

    image: Image = Field(description="The image; it has tritonserver on its path.")
    path: AbsolutePath = Field(default="/models", description="The model repository in it.")
    model: ModelName = Field(default="tensorrt_llm", description="The model in that repository that is asked.")
    protocol: Protocol = Field(default=Protocol.GRPC, description="How the sidecars speak to it.")
    interface: Interface = Field(
        default=Interface.LLMAPI,
        description="The model's inputs and outputs: LLMAPI, TensorRT-LLM's llmapi model; Ensemble, its older ensemble "
        "and tensorrt_llm_bls; VLLM, the model of the vLLM backend.",
    )
    layout: Layout | None = Field(
        default=None,
        description="Whether streamed responses repeat the text so far or add to it, where the model does otherwise "
        "than its interface: LLMAPI is Cumulative, Ensemble and VLLM are Delta.",
    )
    embedding: EmbeddingModel | None = Field(
        default=None, description="The model that answers /v1/embeddings; without one they are refused."
    )


class ExternalEngine(Model):
    """An OpenAI-compatible provider."""

    url: Url = Field(description="Its API, up to and without /chat/completions, such as https://api.example/v1.")
    model: ModelName = Field(description="The model's name there.")
    credentials_secret_ref: SecretKey | None = Field(default=None, description="Its API key.")
    further_urls: Annotated[list[Url], Field(max_length=8), Unique()] = Field(
        default_factory=list,
        description="More addresses of the same model under the same key, such as other regions. Requests go to all of "
        "them in turn; one that fails is left out for a while.",
    )


class FallbackEngine(Model):
    """Who answers what the engine has not begun to answer."""

    external: ExternalEngine = Field(description="An OpenAI-compatible provider.")


class BenchmarkEngine(Model):
    """No model: made-up text at a fixed pace, to measure the path alone."""

    tokens: StrictInt = Field(default=64, ge=1, le=100_000, description="Words of an answer.")
    first_token_milliseconds: StrictInt = Field(default=0, ge=0, le=60_000, description="Before the first word.")
    inter_token_milliseconds: StrictInt = Field(default=0, ge=0, le=60_000, description="Between two words.")


class Engine(Model):
    """What runs the model: at most one; TensorRT-LLM when none is given."""

    model_config = rules(
        (AT_MOST_ONE, ONE_ENGINE),
        ("!(has(self.benchmark) && has(self.fallback))", NO_FALLBACK),
    )

    tensor_rt_llm: TensorRTLLMEngine | None = Field(default=None, alias="tensorRTLLM", description="TensorRT-LLM.")
    vllm: VLLMEngine | None = Field(default=None, alias="vLLM", description="vLLM.")
    model_repository: ModelRepositoryEngine | None = Field(default=None, description="Any Triton model repository.")
    external: ExternalEngine | None = Field(default=None, description="An OpenAI-compatible provider.")
    benchmark: BenchmarkEngine | None = Field(
        default=None, description="No model: made-up text, to measure what guard and cache cost."
    )
    fallback: FallbackEngine | None = Field(
        default=None,
        description="Answers when the engine fails before the first byte of an answer, or is known not to be there.",
    )

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        if len(chosen(self, "tensor_rt_llm", "vllm", "model_repository", "external", "benchmark")) > 1:
            raise ValueError(ONE_ENGINE)
        if self.benchmark is not None and self.fallback is not None:
            raise ValueError(NO_FALLBACK)
        return self


class Resources(Model):
    """What one pod's engine gets."""

    gpus: StrictInt = Field(default=0, ge=0, le=64, description="GPUs of one pod.")
    gpu_products: Annotated[list[LabelValue], Field(max_length=16), Unique()] = Field(
        default_factory=list, description="Accepted values of the node label nvidia.com/gpu.product; any when empty."
    )
    cpu: Annotated[Quantity, amount_between("1m", "1000")] | None = Field(
        default=None, description="Cores that are requested, such as 8 or 500m."
    )
    memory: Annotated[Quantity, amount_between("1Mi", "64Ti")] | None = Field(
        default=None, description="Memory that is requested, and the most that is given, such as 64Gi."
    )
    shared_memory: Annotated[Quantity, amount_between("1Mi", "64Ti")] | None = Field(
        default=None, description="Size of /dev/shm, which counts as memory; by the number of GPUs when left out."
    )


class Prompts(Model):
    """The prompt templates that requests may name."""

    model_config = rules(
        (
            "!has(self.default) || (has(self.templates) && self.templates.exists(one, one.name == self.default))",
            UNKNOWN_DEFAULT,
        )
    )

    templates: Annotated[list[ObjectReference], Field(max_length=64), Unique("name")] = Field(
        default_factory=list, description="PromptTemplates of the same namespace."
    )
    default: Name | None = Field(default=None, description="The one that is used when a request names none.")

    @model_validator(mode="after")
    def _known_default(self) -> Self:
        if self.default is not None and self.default not in {one.name for one in self.templates}:
            raise ValueError(UNKNOWN_DEFAULT)
        return self


class Guard(Model):
    """What checks prompts and answers."""

    policy_ref: ObjectReference = Field(description="A GuardPolicy of the same namespace.")


class ExactCache(Model):
    """Answers to questions that are the same to the letter."""

    ttl: Annotated[Duration, seconds_between("1s", "720h")] = Field(
        default="1h", description="How long an answer is kept, such as 90s or 1h; 1s to 720h."
    )


class Valkey(Model):
    """A Valkey, or a Redis, of version 6 or newer; it needs no modules."""

    model_config = rules(
        ("!has(self.caSecretName) || self.url.matches('^(rediss|valkeys)://')", CA_NEEDS_TLS),
        ("!self.url.contains('@') || has(self.credentialsSecretRef)", USER_NEEDS_PASSWORD),
    )

    url: StoreUrl = Field(
        description="Where it is, as in valkeys://user@host:6379/0; valkeys or rediss for TLS, valkey or redis without."
    )
    credentials_secret_ref: SecretKey | None = Field(
        default=None, description="The password, of the user `default` when the URL names none."
    )
    ca_secret_name: ObjectName | None = Field(
        default=None,
        alias="caSecretName",
        description="A Secret whose ca.crt vouches for it; the system's authorities when left out.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.ca_secret_name is not None and not self.url.startswith(("rediss://", "valkeys://")):
            raise ValueError(CA_NEEDS_TLS)
        if "@" in self.url and self.credentials_secret_ref is None:
            raise ValueError(USER_NEEDS_PASSWORD)
        return self


class SharedCache(Model):
    """Where pods share what they remember."""

    valkey: Valkey = Field(description="A Valkey or Redis.")


class Cache(Model):
    """What is remembered."""

    model_config = rules(("!has(self.shared) || has(self.exact)", SHARED_NEEDS_EXACT))

    exact: ExactCache | None = Field(
        default=None, description="Keep answers to identical questions; off when left out."
    )
    max_bytes: Annotated[Quantity, amount_between("1Mi", "64Gi")] = Field(
        default="64Mi", description="Memory of one pod for answers, such as 256Mi; 1Mi to 64Gi."
    )
    shared: SharedCache | None = Field(
        default=None, description="Where pods share what they remember; each has its own when left out."
    )

    @model_validator(mode="after")
    def _shares_something(self) -> Self:
        if self.shared is not None and self.exact is None:
            raise ValueError(SHARED_NEEDS_EXACT)
        return self


class Limits(Model):
    """Bounds on what one pod takes on."""

    concurrent_requests: StrictInt = Field(default=256, ge=1, le=100_000, description="Requests that run at once.")
    queued_requests: StrictInt = Field(default=64, ge=0, le=100_000, description="Requests that wait; more get a 429.")
    queue_seconds: Seconds = Field(default=30, description="The longest a request may wait to start, in seconds.")
    body_bytes: Annotated[Quantity, amount_between("1Ki", "64Mi")] = Field(
        default="1Mi", description="The largest request body; a larger one gets a 413. 1Ki to 64Mi."
    )
    output_tokens: StrictInt = Field(default=4096, ge=1, le=1_000_000, description="The longest answer, in tokens.")
    request_seconds: Seconds = Field(default=600, description="The longest a request may take, in seconds.")
    first_token_seconds: Seconds = Field(default=60, description="The longest wait for the first token, in seconds.")
    inter_token_seconds: Seconds = Field(default=30, description="The longest wait between two tokens, in seconds.")


class TolerationOperator(StrEnum):
    """How a toleration compares."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    """What a taint does to pods without a toleration."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(Model):
    """A taint of nodes that the pods put up with."""

    model_config = rules(("self.operator == 'Equal' || !has(self.value)", VALUE_OF_EXISTS))

    key: LabelKey = Field(description="The taint's key.")
    operator: TolerationOperator = Field(default=TolerationOperator.EXISTS, description="Exists or Equal.")
    value: LabelValue | None = Field(default=None, description="The taint's value, for Equal.")
    effect: TaintEffect | None = Field(default=None, description="The taint's effect; all when left out.")

    @model_validator(mode="after")
    def _value_for_equal(self) -> Self:
        if self.operator is TolerationOperator.EXISTS and self.value is not None:
            raise ValueError(VALUE_OF_EXISTS)
        return self


_LABELS = FieldRule(
    f"self.all(key, key.matches('{LABEL_KEY}'))",
    lambda labels: all(re.fullmatch(LABEL_KEY, key) for key in labels),
    "keys must be label keys, such as topology.kubernetes.io/zone",
)


class Scheduling(Model):
    """Which nodes the pods may run on, beside what `resources` asks for."""

    node_selector: Annotated[dict[str, LabelValue], Field(max_length=16), _LABELS] = Field(
        default_factory=dict, description="Labels that a node must have."
    )
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = Field(
        default_factory=list, description="Taints that the pods put up with."
    )


WITHOUT_POD = "(has(self.engine) && (has(self.engine.external) || has(self.engine.benchmark)))"
OWN_FILES = f"(has(self.engine) && has(self.engine.modelRepository)) || {WITHOUT_POD}"
PARALLEL = (
    "(has(self.engine) && has(self.engine.tensorRTLLM) ? "
    "self.engine.tensorRTLLM.tensorParallelSize * self.engine.tensorRTLLM.pipelineParallelSize : "
    "has(self.engine) && has(self.engine.vLLM) ? self.engine.vLLM.tensorParallelSize : 1)"
)
NEEDS_SOURCE = "a GPU engine needs model.source; tensorRTLLM is the engine when none is given"
NEEDS_GPUS = (
    "resources.gpus must be what the engine spreads over: tensorParallelSize * pipelineParallelSize, 1 by default"
)
NO_SOURCE = "an external or benchmark engine has no model.source and no resources"


class LLMDeploymentSpec(Model):
    """What is served, and how."""

    model_config = rules(
        (f"{OWN_FILES} || has(self.model.source)", NEEDS_SOURCE),
        (f"{OWN_FILES} || (has(self.resources) && self.resources.gpus == {PARALLEL})", NEEDS_GPUS),
        (f"!{WITHOUT_POD} || (!has(self.model.source) && !has(self.resources))", NO_SOURCE),
    )

    model: ServedModel = Field(description="The model.")
    engine: Engine | None = Field(default=None, description="What runs it; TensorRT-LLM when left out.")
    resources: Resources | None = Field(default=None, description="What one pod's engine gets.")
    replicas: StrictInt = Field(default=1, ge=0, le=1000, description="Pods.")
    prompts: Prompts | None = Field(default=None, description="Prompt templates that requests may name.")
    guard: Guard | None = Field(default=None, description="What checks prompts and answers; nothing when left out.")
    cache: Cache | None = Field(default=None, description="What is remembered; nothing when left out.")
    access: Access | None = Field(default=None, description="Who may ask, and how much; everybody when left out.")
    limits: Limits = Field(default_factory=Limits, description="Bounds on what one pod takes on.")
    scheduling: Scheduling | None = Field(default=None, description="Which nodes the pods may run on.")

    @model_validator(mode="after")
    def _engine_has_what_it_needs(self) -> Self:
        engine = self.engine or Engine()
        elsewhere = engine.external is not None or engine.benchmark is not None
        if elsewhere and (self.model.source is not None or self.resources is not None):
            raise ValueError(NO_SOURCE)
        if not elsewhere and engine.model_repository is None:
            if self.model.source is None:
                raise ValueError(NEEDS_SOURCE)
            if (self.resources or Resources()).gpus != _parallel(engine):
                raise ValueError(NEEDS_GPUS)
        return self


def _parallel(engine: Engine) -> int:
    """GPUs that a GPU engine spreads one model over."""
    if engine.vllm is not None:
        return engine.vllm.tensor_parallel_size
    tensor_rt_llm = engine.tensor_rt_llm or TensorRTLLMEngine()
    return tensor_rt_llm.tensor_parallel_size * tensor_rt_llm.pipeline_parallel_size


class LLMDeploymentStatus(Model):
    """What is."""

    observed_generation: int = Field(default=0, ge=0, description="The generation that this speaks about.")
    replicas: int = Field(default=0, ge=0, description="Pods.")
    ready_replicas: int = Field(default=0, ge=0, description="Pods that serve.")
    selector: str = Field(default="", max_length=512, description="Selects the pods, for autoscalers.")
    url: str = Field(default="", max_length=512, description="Where clients in the cluster reach the API.")
    revision: str = Field(default="", max_length=63, description="What is served, by its digest.")
    configuration: str = Field(default="", max_length=64, description="The digest of the sidecars' configuration.")
    conditions: Conditions = Field(default_factory=list, description="What is well and what is not.")
