"""What the builders of the children are told: the spec, and what it refers to, resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from llmops_operator.api import GuardPolicySpec, LLMDeploymentSpec, PromptTemplateSpec
from llmops_operator.api.access import Access
from llmops_operator.api.llmdeployment import (
    BenchmarkEngine,
    ExternalEngine,
    ModelRepositoryEngine,
    Resources,
    TensorRTLLMEngine,
    VLLMEngine,
)
from llmops_operator.desired.platform import Platform
from llmops_operator.settings import Settings

EngineSpec = TensorRTLLMEngine | VLLMEngine | ModelRepositoryEngine | ExternalEngine | BenchmarkEngine


ListKey = tuple[str, str]
"""A ConfigMap and the key in it that holds phrases."""


@dataclass(frozen=True)
class Policy:
    """A guard policy under its name, with the lists of phrases that it names."""

    name: str
    spec: GuardPolicySpec
    lists: Mapping[ListKey, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """One LLMDeployment with everything that it names; `templates` are in the order of the spec."""

    name: str
    namespace: str
    uid: str
    spec: LLMDeploymentSpec
    platform: Platform
    settings: Settings
    templates: Mapping[str, PromptTemplateSpec] = field(default_factory=dict)
    policy: Policy | None = None

    @property
    def engine(self) -> EngineSpec:
        """The chosen engine."""
        return engine_of(self.spec)

    @property
    def resources(self) -> Resources:
        """What the engine of one pod gets."""
        return self.spec.resources or Resources()

    @property
    def access(self) -> Access:
        """Who may ask."""
        return self.spec.access or Access()

    @property
    def is_external(self) -> bool:
        """Whether the engine is somewhere else, so that the pods hold sidecars alone."""
        return isinstance(self.engine, ExternalEngine)

    @property
    def has_triton(self) -> bool:
        """Whether the pods run the engine."""
        return not isinstance(self.engine, ExternalEngine | BenchmarkEngine)

    @property
    def fallback(self) -> ExternalEngine | None:
        """The provider that answers when the engine does not."""
        fallback = self.spec.engine.fallback if self.spec.engine else None
        return fallback.external if fallback else None

    @property
    def on_gpus(self) -> bool:
        """Whether the pods need GPUs."""
        return self.resources.gpus > 0


def engine_of(spec: LLMDeploymentSpec) -> EngineSpec:
    """The engine that a spec chooses: TensorRT-LLM when it names none."""
    engine = spec.engine
    if engine is None:
        return TensorRTLLMEngine()
    named = engine.tensor_rt_llm or engine.vllm or engine.model_repository or engine.external or engine.benchmark
    return named or TensorRTLLMEngine()
