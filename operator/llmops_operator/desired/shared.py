"""What a shared cache makes of a pod and of its sidecars' configuration.

Its Secrets are mounted into the cache's container alone (with an external engine that is the pod's only one). One that
does not exist is an empty directory: the cache serves without the store, and says what is missing. The operator reads
no Secret.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from llmops_operator.api.llmdeployment import LLMDeploymentSpec, Valkey
from llmops_operator.desired import paths
from llmops_operator.desired.facts import Facts
from llmops_sidecars import contract

Document = dict[str, Any]

VOLUME = "shared-cache"
PORT = 6379


def store(spec: LLMDeploymentSpec) -> Valkey | None:
    """The store, where there is one."""
    return spec.cache.shared.valkey if spec.cache and spec.cache.shared else None


def settings(facts: Facts) -> contract.SharedStore | None:
    """What the cache has to know."""
    valkey = store(facts.spec)
    if valkey is None:
        return None
    url = urlsplit(valkey.url)
    return contract.SharedStore(
        host=url.hostname or "",
        prefix=prefix(facts.namespace, facts.name),
        port=url.port or PORT,
        tls=url.scheme in ("valkeys", "rediss"),
        user=url.username or "default",
        database=int(url.path.removeprefix("/") or 0),
        password_file=_file(paths.CREDENTIALS_KEY) if valkey.credentials_secret_ref else None,
        ca_file=_file(paths.CA_KEY) if valkey.ca_secret_name else None,
    )


def prefix(namespace: str, name: str) -> str:
    """What the names of all of its keys begin with; the store's rights go by it."""
    return f"llmops:{namespace}:{name}:"


def namespace_of_store(facts: Facts) -> str | None:
    """The namespace of the Service that the store's host names; None for any other host."""
    valkey = store(facts.spec)
    labels = (urlsplit(valkey.url).hostname or "").split(".") if valkey else []
    if len(labels) == 1:
        return facts.namespace
    return labels[1] if labels[2:3] == ["svc"] else None


def volumes(facts: Facts) -> list[Document]:
    """The Secrets, in one directory."""
    valkey = store(facts.spec)
    sources = _sources(valkey) if valkey else []
    if not sources:
        return []
    return [{"name": VOLUME, "projected": {"sources": sources, "defaultMode": paths.OWNER_AND_GROUP}}]


def mounts(facts: Facts) -> list[Document]:
    """That directory, for whoever asks the store."""
    return [
        {"name": one["name"], "mountPath": paths.SHARED_CACHE_DIRECTORY, "readOnly": True} for one in volumes(facts)
    ]


def pod_part(spec: LLMDeploymentSpec) -> list[Document]:
    """What of it makes a pod: other Secrets need new ones. Empty without any."""
    valkey = store(spec)
    return _sources(valkey) if valkey else []


def _sources(valkey: Valkey) -> list[Document]:
    key, authority = valkey.credentials_secret_ref, valkey.ca_secret_name
    named = [(key.name, key.key, paths.CREDENTIALS_KEY)] if key else []
    vouching = [(authority, paths.CA_KEY, paths.CA_KEY)] if authority else []
    return [
        {"secret": {"name": name, "items": [{"key": data, "path": path}], "optional": True}}
        for name, data, path in (*named, *vouching)
    ]


def _file(name: str) -> str:
    return f"{paths.SHARED_CACHE_DIRECTORY}/{name}"
