"""Installing the operator as a person does: with its charts."""

from __future__ import annotations

from pathlib import Path

from e2e.kit.environment import Environment
from e2e.kit.kube import Kube
from e2e.kit.wait import until

CHARTS = Path(__file__).parents[2] / "charts"
NAMESPACE = "llmops-system"
RELEASE = "llmops-operator"
UPGRADE = ("upgrade", "--install", "--namespace", NAMESPACE, "--create-namespace")


def install(kube: Kube, environment: Environment, *values: str) -> None:
    """Install or upgrade both charts and wait until the operator is ready; `values` are further `--set` arguments."""
    install_resources(kube)
    images = [f"images.{name}={environment.images[name]}" for name in ("operator", "sidecar")]
    settings = [argument for value in (*images, *values) for argument in ("--set-string", value)]
    kube.helm(*UPGRADE, RELEASE, str(CHARTS / "llmops-operator"), *settings)
    until("the operator is ready", lambda: ready(kube), 60)


def install_resources(kube: Kube) -> None:
    """Install or upgrade the custom resources alone."""
    kube.helm(*UPGRADE, "llmops-crds", str(CHARTS / "llmops-crds"))


def ready(kube: Kube) -> bool:
    """Whether the newest operator serves and no older one is left."""
    found = kube.get("Deployment", RELEASE, NAMESPACE)
    if found is None or found["status"].get("observedGeneration") != found["metadata"]["generation"]:
        return False
    status, wanted = found["status"], found["spec"]["replicas"]
    counts = (status.get("replicas"), status.get("updatedReplicas"), status.get("readyReplicas"))
    return counts == (wanted, wanted, wanted)


def uninstall(kube: Kube) -> None:
    """Remove both charts; what the CRDs' chart keeps by its policy stays."""
    for release in (RELEASE, "llmops-crds"):
        kube.helm("uninstall", "--namespace", NAMESPACE, "--ignore-not-found", "--wait", release)
