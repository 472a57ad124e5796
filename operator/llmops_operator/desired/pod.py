"""The template of the serving pods."""

from __future__ import annotations

from typing import Any

from llmops_operator import names
from llmops_operator.desired import revision
from llmops_operator.desired.containers import containers, init_containers
from llmops_operator.desired.facts import Facts
from llmops_operator.desired.triton import EXIT_TIMEOUT_SECONDS
from llmops_operator.desired.volumes import volumes

Document = dict[str, Any]

SIDECAR_USER = 65532
"""The user of the sidecars' image; also the group of the pod's volumes."""

LINGER_SECONDS = 5
"""How long a draining guard still takes requests (docs/dev/dataplane.md): endpoints need that long to forget a pod."""

MARGIN_SECONDS = 15
"""For what comes after: Triton's processes, then the sidecars, one after the other."""

GPU_TAINT = "nvidia.com/gpu"
GPU_PRODUCT = "nvidia.com/gpu.product"


def template(facts: Facts) -> Document:
    """The pod template of the Deployment."""
    annotations = {names.ANNOTATION_ENGINE: revision.engine_digest(facts.spec, facts.policy)}
    return {"metadata": {"labels": names.labels(facts.name), "annotations": annotations}, "spec": _spec(facts)}


def grace_seconds(facts: Facts) -> int:
    """How long a pod may take to leave: linger, the longest request, Triton's exit, and a margin.

    The hooks run at the same time and TERM waits for them; all of it is inside this time (Kubernetes, "Container
    Lifecycle Hooks").
    """
    exiting = EXIT_TIMEOUT_SECONDS if facts.has_triton else 0
    return LINGER_SECONDS + facts.spec.limits.request_seconds + exiting + MARGIN_SECONDS


def _spec(facts: Facts) -> Document:
    spec = {
        "serviceAccountName": names.child(facts.name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _security(),
        "terminationGracePeriodSeconds": grace_seconds(facts),
        "initContainers": init_containers(facts),
        "containers": containers(facts),
        "volumes": volumes(facts),
        "affinity": _affinity(facts),
        "nodeSelector": dict(facts.spec.scheduling.node_selector) if facts.spec.scheduling else {},
        "tolerations": _tolerations(facts),
        "topologySpreadConstraints": [_spread(facts)],
        **_shared_processes(facts),
    }
    return {name: value for name, value in spec.items() if value not in ({}, [])}


def _shared_processes(facts: Facts) -> Document:
    """One process namespace for the pod, so that Triton is not its first process.

    As the first process it ignores TERM while it loads (measured), and a pod that is deleted then would hold its GPUs
    for the whole grace period. The containers see each other's processes by this, but run as different users and
    without capabilities, so they can neither signal nor read one another; secrets are files, never arguments.
    """
    return {"shareProcessNamespace": True} if facts.has_triton else {}


def _security() -> Document:
    return {
        "runAsNonRoot": True,
        "runAsUser": SIDECAR_USER,
        "runAsGroup": SIDECAR_USER,
        "fsGroup": SIDECAR_USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _affinity(facts: Facts) -> Document:
    if not facts.resources.gpu_products:
        return {}
    expression = {"key": GPU_PRODUCT, "operator": "In", "values": list(facts.resources.gpu_products)}
    required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def _tolerations(facts: Facts) -> list[Document]:
    """The user's own, and the usual taint of GPU nodes."""
    usual = [{"key": GPU_TAINT, "operator": "Exists", "effect": "NoSchedule"}] if facts.on_gpus else []
    scheduling = facts.spec.scheduling
    own = [one.model_dump(mode="json", exclude_none=True) for one in scheduling.tolerations] if scheduling else []
    return [*usual, *(one for one in own if one not in usual)]


def _spread(facts: Facts) -> Document:
    """Replicas on different nodes where that is possible; a full cluster still takes them."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": names.selector(facts.name)},
        "matchLabelKeys": ["pod-template-hash"],
    }
