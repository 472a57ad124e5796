"""The objects that the demo and the scenarios apply: the quickstart of `examples/`, on this cluster's images."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from e2e.kit.kube import Document, documents

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"


def quickstart(namespace: str, images: Mapping[str, str]) -> list[Document]:
    """The three objects of the quickstart, in the order in which a person applies them."""
    found = [one for path in sorted(QUICKSTART.glob("*.yaml")) for one in documents(path)]
    ordered = sorted(found, key=lambda one: one["kind"] == "LLMDeployment")
    return [_placed(document, namespace, images) for document in ordered]


def deployment(namespace: str, images: Mapping[str, str], name: str = "chat", **spec: Any) -> Document:
    """A small LLMDeployment on the CPU engine, without a guard, prompts or a cache unless `spec` has them."""
    engine = {"modelRepository": {"image": images["triton-cpu"]}}
    return {
        "apiVersion": "llmops.dev/v1alpha1",
        "kind": "LLMDeployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"model": {"name": "support-chat"}, "engine": engine, **spec},
    }


def template(namespace: str, name: str = "support", content: str = "{{ question }}") -> Document:
    """A PromptTemplate with the one variable `question`."""
    return {
        "apiVersion": "llmops.dev/v1alpha1",
        "kind": "PromptTemplate",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "messages": [{"role": "user", "content": content}],
            "variables": [{"name": "question", "required": True}],
        },
    }


def policy(namespace: str, name: str = "strict", **spec: Any) -> Document:
    """A GuardPolicy of that spec."""
    return {
        "apiVersion": "llmops.dev/v1alpha1",
        "kind": "GuardPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def pattern(name: str, expression: str, action: str = "Block") -> Document:
    """A `patterns` rule with one expression."""
    return {"patterns": [{"name": name, "expression": expression, "action": action}]}


def _placed(document: Document, namespace: str, images: Mapping[str, str]) -> Document:
    placed = deepcopy(document)
    placed["metadata"]["namespace"] = namespace
    if placed["kind"] == "LLMDeployment":
        placed["spec"]["engine"]["modelRepository"]["image"] = images["triton-cpu"]
    return placed
