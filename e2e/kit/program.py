"""A small program in a pod of its own, behind a Service: what LLMDeployments of a scenario talk to.

It runs on the sidecar's image, which has Python and aiohttp, under Pod Security `restricted`, and finds a Secret in
`/secret`.
"""

from __future__ import annotations

from pathlib import Path

from e2e.kit.kube import Document, Kube
from e2e.kit.wait import until

PROGRAMS = Path(__file__).parent / "programs"
PYTHON = "/opt/llmops/bin/python"
PORT = 8080


def secret(namespace: str, name: str, **data: str) -> Document:
    """A Secret; an underscore in a key stands for a full stop."""
    content = {key.replace("_", "."): value for key, value in data.items()}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": content}


def start(kube: Kube, namespace: str, image: str, name: str, port: int = 80) -> None:
    """Run `programs/NAME.py` with the Secret of its name, as Service NAME on `port`, and wait until it listens."""
    source = (PROGRAMS / f"{name}.py").read_text(encoding="utf-8")
    metadata = {"name": name, "namespace": namespace, "labels": {"program": name}}
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"main.py": source}})
    ports = [{"port": port, "targetPort": PORT}]
    service = {"selector": {"program": name}, "ports": ports}
    kube.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service})
    kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _pod(image, name)})
    until(f"{name} listens", lambda: _is_ready(kube.get("Pod", name, namespace)), 60)


def stop(kube: Kube, namespace: str, name: str) -> None:
    """End the program; its Service stays, with nobody behind it.

    Without a time of grace the pod would be gone from the API server before its process is.
    """
    kube.delete("Pod", name, namespace, grace_seconds=1)
    until(f"{name} is gone", lambda: kube.get("Pod", name, namespace) is None, 30)


def _is_ready(pod: Document | None) -> bool:
    conditions = (pod or {}).get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _pod(image: str, name: str) -> Document:
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [PYTHON, "/program/main.py"],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "program", "mountPath": "/program", "readOnly": True},
            {"name": "secret", "mountPath": "/secret", "readOnly": True},
        ],
    }
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [
            {"name": "program", "configMap": {"name": name}},
            {"name": "secret", "secret": {"secretName": name}},
        ],
    }
