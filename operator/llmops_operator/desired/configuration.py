"""The ConfigMaps that the pods mount."""

from __future__ import annotations

from typing import Any

from llmops_operator import names
from llmops_operator.desired import contract, paths, policy, triton
from llmops_operator.desired.facts import Facts
from llmops_operator.desired.objects import child
from llmops_operator.desired.volumes import key
from llmops_sidecars.contract import encode

Document = dict[str, Any]


def sidecar_configuration(facts: Facts) -> Document:
    """The sidecars' configuration, with the lists that it names; running pods reload it."""
    data = {paths.CONTRACT_KEY: encode(contract.build(facts)).decode(), **policy.files(facts.policy)}
    return child("v1", "ConfigMap", names.sidecar_configuration(facts.name), facts, data=data)


def engine_configuration(facts: Facts) -> Document | None:
    """Triton's model configuration; None for an engine that brings its own or runs elsewhere."""
    files = {key(path): content for path, content in triton.files(facts).items()}
    if not files:
        return None
    return child("v1", "ConfigMap", names.engine_configuration(facts.name), facts, data=files)
