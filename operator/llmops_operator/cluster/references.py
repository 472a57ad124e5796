"""What objects name: read from the raw document, so that a spec which cannot be parsed has references too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmops_operator import names
from llmops_operator.cluster.kinds import Document, Key


def key_of(document: Document) -> Key:
    """The key of an object of the operator's own kinds."""
    metadata = document["metadata"]
    return Key(document["kind"], metadata["namespace"], metadata["name"])


def referenced(document: Document) -> frozenset[Key]:
    """What an object names of our own kinds, in its own namespace.

    Of an LLMDeployment its templates and its policy, of a PromptTemplate those that it includes.
    """
    namespace = document["metadata"]["namespace"]
    return frozenset(Key(kind, namespace, name) for kind, name in _named(document) if isinstance(name, str))


def lists(document: Document) -> frozenset[str]:
    """The ConfigMaps that a GuardPolicy names, as far as it can be read; all stand in its own namespace."""
    spec = _mapping(document.get("spec"))
    found = (_mapping(_mapping(rule).get("phrases")) for rule in (*_items(spec, "input"), *_items(spec, "output")))
    named = (_mapping(phrases.get("configMapRef")).get("name") for phrases in found)
    return frozenset(name for name in named if isinstance(name, str) and name)


def _items(spec: Mapping[str, Any], field: str) -> list[Any]:
    value = spec.get(field)
    return value if isinstance(value, list) else []


def _named(document: Document) -> Iterator[tuple[str, Any]]:
    spec = _mapping(document.get("spec"))
    if document["kind"] == names.PROMPT_TEMPLATE:
        for include in _items(spec, "includes"):
            yield names.PROMPT_TEMPLATE, _mapping(include).get("name")
    if document["kind"] != names.LLM_DEPLOYMENT:
        return
    for template in _items(_mapping(spec.get("prompts")), "templates"):
        yield names.PROMPT_TEMPLATE, _mapping(template).get("name")
    yield names.GUARD_POLICY, _mapping(_mapping(spec.get("guard")).get("policyRef")).get("name")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
