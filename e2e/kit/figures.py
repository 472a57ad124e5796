"""The operator's and the guards' own metrics, read through the API server."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from e2e.kit.install import NAMESPACE, RELEASE
from e2e.kit.kube import Kube

OPERATOR_PORT = 8080
GUARD_PORT = 9090


def operator_total(kube: Kube, sample: str) -> float:
    """The sum of all series of one sample over all operator pods; 0 when there is none yet."""
    pods = kube.list("Pod", NAMESPACE, f"app.kubernetes.io/name={RELEASE}")
    names = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return sum(_total(kube, NAMESPACE, name, OPERATOR_PORT, sample) for name in names)


def guard_total(kube: Kube, namespace: str, name: str, sample: str) -> float:
    """The sum of all series of one sample over the pods of an LLMDeployment, what cache and engine tell included."""
    pods = kube.list("Pod", namespace, f"app.kubernetes.io/instance={name}")
    names = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return sum(_total(kube, namespace, pod, GUARD_PORT, sample) for pod in names)


def _total(kube: Kube, namespace: str, pod: str, port: int, sample: str) -> float:
    text = kube.raw(f"api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/metrics")
    families = text_string_to_metric_families(text)
    return sum(one.value for family in families for one in family.samples if one.name == sample)
