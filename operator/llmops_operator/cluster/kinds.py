"""The kinds of objects that the operator touches, and what it may do with them: the chart's roles are this table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmops_operator import names

Document = dict[str, Any]
"""An object as the API server takes and gives it."""

READ = ("get", "list", "watch")
OWN_AND_PRUNE = (*READ, "create", "patch", "delete")


@dataclass(frozen=True)
class Kind:
    """One kind: where the API server serves it, and the verbs that the operator uses on it."""

    group: str
    version: str
    name: str
    plural: str
    verbs: tuple[str, ...]
    status_verbs: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """The value of `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of one object, or of the collection when `name` is None; no namespace is all of them."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root, f"namespaces/{namespace}" if namespace else "", self.plural, name or "", subresource or ""]
        return "/".join(part for part in parts if part)


@dataclass(frozen=True, order=True)
class Key:
    """Names one object of the operator's own kinds: what the work queue holds."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


LLM_DEPLOYMENT = Kind(names.GROUP, names.VERSION, names.LLM_DEPLOYMENT, "llmdeployments", READ, ("patch",))
PROMPT_TEMPLATE = Kind(names.GROUP, names.VERSION, names.PROMPT_TEMPLATE, "prompttemplates", READ, ("patch",))
GUARD_POLICY = Kind(names.GROUP, names.VERSION, names.GUARD_POLICY, "guardpolicies", READ, ("patch",))

SERVICE_ACCOUNT = Kind("", "v1", "ServiceAccount", "serviceaccounts", OWN_AND_PRUNE)
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps", OWN_AND_PRUNE)
SERVICE = Kind("", "v1", "Service", "services", OWN_AND_PRUNE)
DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments", OWN_AND_PRUNE)
POD_DISRUPTION_BUDGET = Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", OWN_AND_PRUNE)
NETWORK_POLICY = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", OWN_AND_PRUNE)

POD = Kind("", "v1", "Pod", "pods", (*READ, "patch"))
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases", ("get", "create", "patch"))

OWN = (LLM_DEPLOYMENT, PROMPT_TEMPLATE, GUARD_POLICY)
CHILDREN = (SERVICE_ACCOUNT, CONFIG_MAP, SERVICE, DEPLOYMENT, POD_DISRUPTION_BUDGET, NETWORK_POLICY)
WATCHED = (*OWN, *CHILDREN, POD)
ALL = (*WATCHED, LEASE)

BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in ALL}


def of(document: Document) -> Kind:
    """The kind of a document; raises KeyError for one that the operator does not touch."""
    return BY_NAME[document["kind"]]
