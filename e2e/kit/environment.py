"""What `python -m e2e` hands to the programs that it starts beside the cluster, by environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

KUBECONFIG = "KUBECONFIG"
REACHES_SERVICES = "LLMOPS_E2E_REACHES_SERVICES"
IMAGE_PREFIX = "LLMOPS_E2E_IMAGE_"
IMAGES = ("operator", "sidecar", "triton-cpu", "model-data", "names-model")


@dataclass(frozen=True)
class Environment:
    """A cluster to work on; `images` are references that its nodes can run."""

    kubeconfig: str
    images: Mapping[str, str]
    reaches_services: bool

    def variables(self) -> dict[str, str]:
        """The environment variables that say this."""
        images = {_variable(name): reference for name, reference in self.images.items()}
        return {KUBECONFIG: self.kubeconfig, REACHES_SERVICES: str(int(self.reaches_services)), **images}


def read(variables: Mapping[str, str] = os.environ) -> Environment | None:
    """What the variables say; None when they were not set by `python -m e2e`."""
    if REACHES_SERVICES not in variables:
        return None
    images = {name: variables[_variable(name)] for name in IMAGES if _variable(name) in variables}
    return Environment(variables[KUBECONFIG], images, variables[REACHES_SERVICES] == "1")


def _variable(image: str) -> str:
    return IMAGE_PREFIX + image.upper().replace("-", "_")
