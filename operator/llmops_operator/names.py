"""Every name that clusters hold on to: changing one here orphans what an earlier version made."""

from __future__ import annotations

GROUP = "llmops.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

LLM_DEPLOYMENT = "LLMDeployment"
PROMPT_TEMPLATE = "PromptTemplate"
GUARD_POLICY = "GuardPolicy"

# Field managers, constant for ever: what a manager stops naming is removed from the object.
CHILD_MANAGER = "llmops-operator"
STATUS_MANAGER = "llmops-operator-status"

LABEL_NAME = "app.kubernetes.io/name"
LABEL_INSTANCE = "app.kubernetes.io/instance"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_COMPONENT = "app.kubernetes.io/component"
MANAGED_BY = "llmops-operator"
APP = "llmops"

ANNOTATION_INTENT = f"{GROUP}/intent"
"""On every child: the digest of what was last applied, so that a field which is no longer wanted is noticed."""

ANNOTATION_CONFIGURATION = f"{GROUP}/configuration"
"""On running pods: the digest of the sidecars' configuration; a change makes the kubelet look at the volume at once."""

ANNOTATION_ENGINE = f"{GROUP}/engine"
"""On the Deployment's pod template: the digest of the engine part of the revision."""

ANNOTATION_PLATFORM = f"{GROUP}/platform"
"""On the Deployment: what the operator's installer chose for its pods, kept until their engine part changes."""

GUARD_CONTAINER = "guard"
CACHE_CONTAINER = "cache"
ENGINE_CONTAINER = "triton"
FETCH_CONTAINER = "fetch-model"

GUARD_PORT = 8080
ADMIN_PORT = 9090
ADMIN_PORT_NAME = "metrics"


def child(deployment: str) -> str:
    """The name of the Deployment, Service, PodDisruptionBudget, NetworkPolicy and ServiceAccount."""
    return deployment


def sidecar_configuration(deployment: str) -> str:
    """The name of the ConfigMap that holds the sidecars' configuration."""
    return f"{deployment}-sidecars"


def engine_configuration(deployment: str) -> str:
    """The name of the ConfigMap that holds Triton's model configuration."""
    return f"{deployment}-engine"


def labels(deployment: str) -> dict[str, str]:
    """The labels of every child."""
    return {LABEL_NAME: APP, LABEL_INSTANCE: deployment, LABEL_MANAGED_BY: MANAGED_BY}


def selector(deployment: str) -> dict[str, str]:
    """What selects the serving pods of an LLMDeployment."""
    return {LABEL_NAME: APP, LABEL_INSTANCE: deployment}


def guard_port_name(*, tls: bool) -> str:
    """What the guard's port is called, and what it speaks: so a Service never leads from the one to the other."""
    return "https" if tls else "http"


def service_port(*, tls: bool) -> int:
    """The port of the Service."""
    return 443 if tls else 80


def service_url(deployment: str, namespace: str, *, tls: bool) -> str:
    """Where clients inside the cluster reach an LLMDeployment's OpenAI-compatible API."""
    return f"{guard_port_name(tls=tls)}://{child(deployment)}.{namespace}.svc/v1"
