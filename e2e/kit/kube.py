"""The cluster as scenarios see it: a few verbs over the API server, and kubectl and helm for what people type."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml
from kubernetes import config

from e2e.kit.wait import until

Document = dict[str, Any]
Query = Sequence[tuple[str, str]]

PLURALS = {
    "LLMDeployment": ("apis/llmops.dev/v1alpha1", "llmdeployments"),
    "PromptTemplate": ("apis/llmops.dev/v1alpha1", "prompttemplates"),
    "GuardPolicy": ("apis/llmops.dev/v1alpha1", "guardpolicies"),
    "CustomResourceDefinition": ("apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "ReplicaSet": ("apis/apps/v1", "replicasets"),
    "Lease": ("apis/coordination.k8s.io/v1", "leases"),
    "NetworkPolicy": ("apis/networking.k8s.io/v1", "networkpolicies"),
    "PodDisruptionBudget": ("apis/policy/v1", "poddisruptionbudgets"),
    "ConfigMap": ("api/v1", "configmaps"),
    "Event": ("api/v1", "events"),
    "Namespace": ("api/v1", "namespaces"),
    "Node": ("api/v1", "nodes"),
    "Pod": ("api/v1", "pods"),
    "Secret": ("api/v1", "secrets"),
    "Service": ("api/v1", "services"),
    "ServiceAccount": ("api/v1", "serviceaccounts"),
}
CLUSTER_SCOPED = {"CustomResourceDefinition", "Namespace", "Node"}


class RefusedError(Exception):
    """The API server said no; `status` is HTTP's, the message the server's own."""

    def __init__(self, status: int, message: str) -> None:
        """Keep both."""
        super().__init__(f"{status}: {message}")
        self.status = status


class Kube:
    """One cluster, spoken to as its administrator."""

    def __init__(self, kubeconfig: str) -> None:
        """Read `kubeconfig`; nothing is sent yet."""
        self.kubeconfig = kubeconfig
        self._api = config.new_client_from_config(kubeconfig)  # type: ignore[no-untyped-call]  # it has no types

    def get(self, kind: str, name: str, namespace: str | None = None) -> Document | None:
        """One object, or None when there is none."""
        try:
            return self._call("GET", _path(kind, namespace, name))
        except RefusedError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def list(self, kind: str, namespace: str | None = None, labels: str = "") -> list[Document]:
        """The objects of a kind, in one namespace or in all."""
        query = [("labelSelector", labels)] if labels else []
        items: list[Document] = self._call("GET", _path(kind, namespace), query=query)["items"]
        return items

    def apply(self, document: Document, manager: str = "scenario") -> Document:
        """Server-side apply, as `kubectl apply --server-side --force-conflicts`."""
        path = _path(document["kind"], document["metadata"].get("namespace"), document["metadata"]["name"])
        query = [("fieldManager", manager), ("force", "true")]
        return self._call("PATCH", path, document, query, "application/apply-patch+yaml")

    def patch(self, kind: str, name: str, namespace: str | None, change: Document, manager: str = "person") -> Document:
        """A merge patch, as `kubectl edit` would send."""
        path, query = _path(kind, namespace, name), [("fieldManager", manager)]
        return self._call("PATCH", path, change, query, "application/merge-patch+json")

    def delete(self, kind: str, name: str, namespace: str | None = None, grace_seconds: int | None = None) -> None:
        """Delete one object; one that is gone is fine."""
        query: Query = [] if grace_seconds is None else [("gracePeriodSeconds", str(grace_seconds))]
        try:
            self._call("DELETE", _path(kind, namespace, name), query=query)
        except RefusedError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    def raw(self, path: str) -> str:
        """GET any path as text, such as `metrics`."""
        return self._send("GET", path).decode()

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl and return what it prints; raises with its error text when it fails."""
        return _run(["kubectl", *arguments], self._environment(), stdin)

    def helm(self, *arguments: str) -> str:
        """Run helm and return what it prints; raises with its error text when it fails."""
        return _run(["helm", *arguments], self._environment(), None)

    @contextmanager
    def namespace(self, name: str, labels: Mapping[str, str] | None = None) -> Iterator[str]:
        """A namespace for the time of a block; deleted with all that is in it at the end."""
        metadata = {"name": name, "labels": dict(labels or {})}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        until("a default service account", lambda: self.get("ServiceAccount", "default", name), 20)
        try:
            yield name
        finally:
            self.delete("Namespace", name)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": self.kubeconfig}

    def _call(
        self, method: str, path: str, body: Document | None = None, query: Query = (), form: str = ""
    ) -> Document:
        document: Document = json.loads(self._send(method, path, body, query, form))
        return document

    def _send(self, method: str, path: str, body: Document | None = None, query: Query = (), form: str = "") -> bytes:
        url = f"{self._api.configuration.host}/{path}?{urlencode(query)}"
        headers = {"Accept": "application/json", "Content-Type": form or "application/json"}
        answer = self._api.call_api(method, url, headers, body, _request_timeout=30)
        data: bytes = answer.read()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise RefusedError(answer.status, json.loads(data)["message"])
        return data


def documents(path: Path) -> list[Document]:
    """The documents of a YAML file."""
    return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]


def condition(document: Document | None, kind: str) -> Document | None:
    """The condition of that type, or None."""
    conditions = ((document or {}).get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == kind), None)


def is_true(document: Document | None, kind: str) -> bool:
    """Whether the condition is True for the object's newest generation."""
    found = condition(document, kind)
    if document is None or found is None or found["status"] != "True":
        return False
    return bool(document["status"].get("observedGeneration") == document["metadata"]["generation"])


def _path(kind: str, namespace: str | None, name: str | None = None) -> str:
    prefix, plural = PLURALS[kind]
    inside = f"/namespaces/{namespace}" if namespace and kind not in CLUSTER_SCOPED else ""
    return f"{prefix}{inside}/{plural}" + (f"/{name}" if name else "")


def _run(command: list[str], environment: dict[str, str], stdin: str | None) -> str:
    done = subprocess.run(command, env=environment, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
