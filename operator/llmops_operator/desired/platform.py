"""What the operator's installer chose for the pods, and how an upgrade of the operator leaves running pods alone.

The pod template holds images that no user named. When the installer changes them, applying the new ones would restart
every serving pod and load every model again. So the Deployment remembers, in an annotation, what its pods were made
with, and keeps it until the user changes the engine part: then there are new pods anyway.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from llmops_operator import names
from llmops_operator.settings import Settings


@dataclass(frozen=True)
class Platform:
    """The installer's choices that stand in pod templates: default images, and the URL of the model hub."""

    sidecar: str
    tensorrt_llm: str
    vllm: str
    hub_url: str


def chosen(settings: Settings) -> Platform:
    """What new pods are made with."""
    images = settings.images
    return Platform(images.sidecar, images.tensorrt_llm, images.vllm, settings.hub_url)


def kept(live: Mapping[str, Any] | None, engine: str, fresh: Platform) -> Platform:
    """What the pods of a live Deployment were made with while its engine digest stays; otherwise the fresh choice."""
    if live is None or _engine(live) != engine:
        return fresh
    return replace(fresh, **_remembered(live))


def annotation(platform: Platform) -> str:
    """The annotation's text."""
    return json.dumps(asdict(platform), sort_keys=True)


def _engine(deployment: Mapping[str, Any]) -> str | None:
    metadata = deployment["spec"]["template"].get("metadata") or {}
    engine: str | None = (metadata.get("annotations") or {}).get(names.ANNOTATION_ENGINE)
    return engine


def _remembered(deployment: Mapping[str, Any]) -> dict[str, str]:
    """What the annotation says and this version knows; nothing when somebody removed or broke it."""
    text = (deployment["metadata"].get("annotations") or {}).get(names.ANNOTATION_PLATFORM, "")
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    known = found if isinstance(found, dict) else {}
    values = ((field.name, known.get(field.name)) for field in fields(Platform))
    return {name: value for name, value in values if isinstance(value, str) and value}
