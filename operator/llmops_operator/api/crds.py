"""The CustomResourceDefinitions, generated from the models; `llmops-operator crds` writes them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel

from llmops_operator import names
from llmops_operator.api import (
    GuardPolicySpec,
    GuardPolicyStatus,
    LLMDeploymentSpec,
    LLMDeploymentStatus,
    PromptTemplateSpec,
    PromptTemplateStatus,
)
from llmops_operator.api.structural import structural

Document = dict[str, Any]

CATEGORY = "llmops"
CHART = "charts/llmops-crds/files"
MAX_NAME = 50
"""Characters of an object's name: the names of its children add to it, and a label's value holds 63."""
NAME = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
"""A Service's name starts with a letter."""
HEADER = "# Generated from operator/llmops_operator/api by `make generate`; do not edit.\n"
KEEP = "helm.sh/resource-policy"


@dataclass(frozen=True)
class Resource:
    """What a CRD says beside its schema; `columns` are (name, type, JSON path, priority)."""

    kind: str
    plural: str
    short: str
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[tuple[str, str, str, int], ...]
    scale: bool = False


def _condition(kind: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


READY = ("Ready", "string", _condition("Ready", "status"), 0)
REASON = ("Reason", "string", _condition("Ready", "reason"), 0)
VERSION = ("Version", "string", ".status.version", 0)
AGE = ("Age", "date", ".metadata.creationTimestamp", 0)

RESOURCES = (
    Resource(
        kind=names.LLM_DEPLOYMENT,
        plural="llmdeployments",
        short="llmd",
        description="One served model: pods with a guard and a cache in front of the engine.",
        spec=LLMDeploymentSpec,
        status=LLMDeploymentStatus,
        columns=(
            READY,
            REASON,
            ("Model", "string", ".spec.model.name", 0),
            ("Replicas", "integer", ".status.readyReplicas", 0),
            ("URL", "string", ".status.url", 0),
            ("Revision", "string", ".status.revision", 1),
            ("Configuration", "string", ".status.configuration", 1),
            AGE,
        ),
        scale=True,
    ),
    Resource(
        kind=names.PROMPT_TEMPLATE,
        plural="prompttemplates",
        short="pt",
        description="Messages with named slots, which requests call by name.",
        spec=PromptTemplateSpec,
        status=PromptTemplateStatus,
        columns=(READY, REASON, VERSION, AGE),
    ),
    Resource(
        kind=names.GUARD_POLICY,
        plural="guardpolicies",
        short="gp",
        description="Rules for prompts and answers.",
        spec=GuardPolicySpec,
        status=GuardPolicyStatus,
        columns=(READY, REASON, VERSION, AGE),
    ),
)


def definition(resource: Resource) -> Document:
    """The CustomResourceDefinition of one kind."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "shortNames": [resource.short],
                "categories": [CATEGORY],
            },
            "versions": [_version(resource)],
        },
    }


def render() -> dict[str, str]:
    """Every generated file: its path from the repository's root, and its content."""
    files: dict[str, str] = {}
    for resource in RESOURCES:
        document = definition(resource)
        files[f"crds/{resource.plural}.yaml"] = HEADER + _yaml(document)
        document["metadata"]["annotations"] = {KEEP: "keep"}
        files[f"{CHART}/{resource.plural}.yaml"] = HEADER + _yaml(document)
    return files


def differences(found: Mapping[str, str]) -> str:
    """A unified diff from the given contents, by path, to what they should be; empty when they are fresh."""
    wanted = render()
    lines = [
        line
        for path in sorted(wanted.keys() | found.keys())
        for line in difflib.unified_diff(
            found.get(path, "").splitlines(), wanted.get(path, "").splitlines(), path, path, lineterm=""
        )
    ]
    return "\n".join(lines)


def _version(resource: Resource) -> Document:
    subresources: Document = {"status": {}}
    if resource.scale:
        subresources["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }
    return {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _schema(resource)},
        "subresources": subresources,
        "additionalPrinterColumns": [_column(*column) for column in resource.columns],
    }


def _schema(resource: Resource) -> Document:
    return {
        "type": "object",
        "description": resource.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"{names.API_VERSION}."},
            "kind": {"type": "string", "description": f"{resource.kind}."},
            "metadata": {
                "type": "object",
                "properties": {"name": {"type": "string", "maxLength": MAX_NAME, "pattern": NAME}},
            },
            "spec": structural(resource.spec),
            "status": structural(resource.status, defaults=False),
        },
    }


def _column(name: str, kind: str, path: str, priority: int) -> Document:
    column: Document = {"name": name, "type": kind, "jsonPath": path}
    return column | ({"priority": priority} if priority else {})


class _Dumper(yaml.SafeDumper):
    """Without anchors, which people do not read and some tools refuse."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _yaml(document: Document) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
