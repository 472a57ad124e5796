"""What all children have in common: names, labels, the owner, and the digest of what is wanted."""

from __future__ import annotations

from typing import Any

from llmops_operator import names
from llmops_operator.desired.digest import digest
from llmops_operator.desired.facts import Facts

Document = dict[str, Any]


def child(api_version: str, kind: str, name: str, facts: Facts, **content: Any) -> Document:
    """A child object with this content, such as `spec` or `data`."""
    return {"apiVersion": api_version, "kind": kind, "metadata": _metadata(name, facts), **content}


def annotated(document: Document, **annotations: str) -> Document:
    """The document with further annotations; the keywords are the full names."""
    metadata = document["metadata"]
    return document | {"metadata": metadata | {"annotations": metadata.get("annotations", {}) | annotations}}


def sealed(document: Document) -> Document:
    """The document with the digest of itself, by which a later pass sees that something else is wanted."""
    return annotated(document, **{names.ANNOTATION_INTENT: digest(document)})


def _metadata(name: str, facts: Facts) -> Document:
    return {
        "name": name,
        "namespace": facts.namespace,
        "labels": names.labels(facts.name),
        "ownerReferences": [_owner(facts)],
    }


def _owner(facts: Facts) -> Document:
    """The owner, by whose deletion a child goes; to block that deletion would take a right to its finalizers."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.LLM_DEPLOYMENT,
        "name": facts.name,
        "uid": facts.uid,
        "controller": True,
    }
