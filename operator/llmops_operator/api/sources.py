"""Where files of models come from: directories of volumes and images, and paths in them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from llmops_operator.api.common import Image, Model, ObjectName
from llmops_operator.api.rules import FieldRule

_STAYS_INSIDE = FieldRule(
    "!('..' in self.split('/'))",
    lambda path: ".." not in path.split("/"),
    "a path must not climb with ..",
)
RelativePath = Annotated[str, Field(max_length=512, pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$"), _STAYS_INSIDE]
AbsolutePath = Annotated[str, Field(max_length=512, pattern=r"^(/[A-Za-z0-9._-]+)+$"), _STAYS_INSIDE]


class VolumeSource(Model):
    """A directory of a volume, mounted read-only."""

    claim_name: ObjectName = Field(description="The PersistentVolumeClaim.")
    path: RelativePath | None = Field(default=None, description="The directory in it; its root by default.")


class PullPolicy(StrEnum):
    """When the kubelet pulls an image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class ImageSource(Model):
    """An image that holds a model, mounted read-only as an image volume (Kubernetes 1.35 and a runtime with them)."""

    reference: Image = Field(description="The image; a digest is better than a tag.")
    pull_policy: PullPolicy = Field(default=PullPolicy.IF_NOT_PRESENT, description="When it is pulled.")
    path: RelativePath | None = Field(default=None, description="The model's directory in it; its root by default.")
