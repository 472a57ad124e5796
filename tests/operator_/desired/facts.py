"""Facts for the builders, from specs as users write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmops_operator.api import GuardPolicySpec, LLMDeploymentSpec, PromptTemplateSpec
from llmops_operator.desired import platform
from llmops_operator.desired.facts import Facts, Policy
from llmops_operator.settings import Settings

Document = dict[str, Any]
UID = "11111111-2222-3333-4444-555555555555"

CPU: Document = {"model": {"name": "support-chat"}, "engine": {"modelRepository": {"image": "triton-cpu:1"}}}
GPU: Document = {
    "model": {"name": "llama", "source": {"volume": {"claimName": "models"}}},
    "resources": {"gpus": 1},
}
VLLM: Document = GPU | {"engine": {"vLLM": {}}}
HUB: Document = GPU | {
    "model": {
        "name": "llama",
        "source": {
            "huggingFace": {"repository": "a/b", "revision": "0" * 40, "tokenSecretRef": {"name": "h", "key": "t"}}
        },
    }
}
IMAGE: Document = GPU | {"model": {"name": "llama", "source": {"image": {"reference": "models/llama:1"}}}}
EXTERNAL: Document = {
    "model": {"name": "assistant"},
    "engine": {
        "external": {
            "url": "https://api.example/v1",
            "model": "gpt-x",
            "credentialsSecretRef": {"name": "provider", "key": "k"},
        }
    },
}
BENCHMARK: Document = {"model": {"name": "none"}, "engine": {"benchmark": {"tokens": 9, "firstTokenMilliseconds": 250}}}
FALLBACK: Document = CPU | {
    "engine": CPU["engine"]
    | {
        "fallback": {
            "external": {
                "url": "https://other.example/v1",
                "model": "gpt-y",
                "credentialsSecretRef": {"name": "other", "key": "k"},
                "furtherUrls": ["https://third.example/v1"],
            }
        }
    }
}
ALL = {
    "cpu": CPU,
    "gpu": GPU,
    "vllm": VLLM,
    "hub": HUB,
    "image": IMAGE,
    "external": EXTERNAL,
    "benchmark": BENCHMARK,
    "fallback": FALLBACK,
}


def facts(
    spec: Document = CPU,
    *,
    templates: Mapping[str, object] | None = None,
    policy: object = None,
    lists: Mapping[tuple[str, str], str] | None = None,
    settings: Settings | None = None,
) -> Facts:
    """Facts about an LLMDeployment `chat` in `team-a`."""
    chosen = settings or Settings()
    return Facts(
        name="chat",
        namespace="team-a",
        uid=UID,
        spec=LLMDeploymentSpec.model_validate(spec),
        platform=platform.chosen(chosen),
        settings=chosen,
        templates={name: PromptTemplateSpec.model_validate(one) for name, one in (templates or {}).items()},
        policy=None if policy is None else Policy("strict", GuardPolicySpec.model_validate(policy), lists or {}),
    )
