"""Everything that one pass over an LLMDeployment observed, the time included, as frozen values.

`cluster.observe` fills it, `decide` reads it; nothing here talks to anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from llmops_operator import names
from llmops_operator.api import GuardPolicySpec, LLMDeploymentSpec, PromptTemplateSpec
from llmops_operator.api.complaints import complaints
from llmops_operator.settings import Settings

Document = Mapping[str, Any]
"""An object as the API server gives it; never changed here."""

Spec = TypeVar("Spec", bound=BaseModel)


@dataclass(frozen=True)
class Metadata:
    """What is used of an object's metadata; `generation` counts changes of the spec, `deleting` is for good."""

    name: str
    namespace: str
    uid: str = ""
    generation: int = 0
    annotations: Mapping[str, str] = field(default_factory=dict)
    deleting: bool = False


@dataclass(frozen=True)
class Invalid:
    """A spec that cannot be read; `reason` names every field that is wrong, and never holds a value."""

    reason: str


@dataclass(frozen=True)
class Resource(Generic[Spec]):
    """An object of our own kinds, parsed; `status` is what was last written."""

    metadata: Metadata
    spec: Spec | Invalid
    status: Document = field(default_factory=dict)


@dataclass(frozen=True)
class Container:
    """The state of one container: reasons and messages are Kubernetes' own, empty when there are none.

    How it ended last stands in the last fields, also while it runs again.
    """

    name: str
    ready: bool = False
    restarts: int = 0
    waiting_reason: str = ""
    waiting_message: str = ""
    terminated_reason: str = ""
    terminated_message: str = ""
    exit_code: int | None = None
    running: bool = False


@dataclass(frozen=True)
class Pod:
    """What is used of a serving pod; `scheduling` is the scheduler's message while it finds no node."""

    name: str
    uid: str
    ip: str
    ready: bool
    terminating: bool
    created: datetime
    annotations: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()
    scheduling: str = ""

    @property
    def guard_runs(self) -> bool:
        """Whether its guard can be asked: it answers also while the pod is not ready."""
        running = any(one.name == names.GUARD_CONTAINER and one.running for one in self.containers)
        return bool(self.ip) and not self.terminating and (self.ready or running)


@dataclass(frozen=True)
class Report:
    """What a guard says at `GET /config`: the digest in use, and why a newer document was refused, if one was."""

    digest: str
    error: str | None = None
    cache_digest: str = ""
    cache_error: str | None = None
    access: tuple[tuple[str, str], ...] = ()
    """What is not as it should be of its access: the part, and why."""
    shared_cache: str | None = None
    """Why its cache does without the store that it should share; None when it does not have to."""


@dataclass(frozen=True)
class Unreachable:
    """A guard that did not answer; `reason` says how the question failed."""

    reason: str


Lists = Mapping[str, Mapping[str, str]]
"""The texts in ConfigMaps that policies name, by the ConfigMap's name and by key; one that does not exist is absent."""


@dataclass(frozen=True)
class World:
    """One pass's view. A template or policy that does not exist is absent from its mapping.

    `children` are the live objects that carry our instance label or have a planned name, so that a foreign
    object of the same name is seen. `guards` holds one entry per pod whose guard runs, ready or not, by the pod's name.
    """

    now: datetime
    settings: Settings
    deployment: Resource[LLMDeploymentSpec]
    templates: Mapping[str, Resource[PromptTemplateSpec]] = field(default_factory=dict)
    policies: Mapping[str, Resource[GuardPolicySpec]] = field(default_factory=dict)
    lists: Lists = field(default_factory=dict)
    children: tuple[Document, ...] = ()
    pods: tuple[Pod, ...] = ()
    guards: Mapping[str, Report | Unreachable] = field(default_factory=dict)

    def child(self, kind: str, name: str) -> Document | None:
        """The live object of that kind and name."""
        return next(
            (one for one in self.children if one["kind"] == kind and one["metadata"]["name"] == name),
            None,
        )


def resource(document: Document, model: type[Spec]) -> Resource[Spec]:
    """Parse an object of our own kinds; `model` is the class of its spec. A wrong spec becomes Invalid."""
    return Resource(metadata(document), _spec(document.get("spec"), model), document.get("status") or {})


def metadata(document: Document) -> Metadata:
    """The metadata of an object, live or from a file."""
    found = document.get("metadata") or {}
    return Metadata(
        name=found.get("name", ""),
        namespace=found.get("namespace", ""),
        uid=found.get("uid", ""),
        generation=found.get("generation", 0),
        annotations=found.get("annotations") or {},
        deleting="deletionTimestamp" in found,
    )


def pod(document: Document) -> Pod:
    """The facts of a live pod."""
    found, status = document["metadata"], document.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled", {})
    return Pod(
        name=found["name"],
        uid=found.get("uid", ""),
        ip=status.get("podIP", ""),
        ready=conditions.get("Ready", {}).get("status") == "True",
        terminating="deletionTimestamp" in found,
        created=datetime.fromisoformat(found["creationTimestamp"]),
        annotations=found.get("annotations") or {},
        containers=tuple(
            _container(one)
            for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
        ),
        scheduling=scheduled.get("message", "") if scheduled.get("status") == "False" else "",
    )


def report(document: Document) -> Report:
    """What a guard answered at `GET /config` (docs/dev/dataplane.md); a guard without a contract has no digest."""
    cache = document.get("cache") or {}
    return Report(
        digest=document.get("digest") or "",
        error=document.get("error"),
        cache_digest=cache.get("digest") or "",
        cache_error=cache.get("error"),
        access=tuple((str(part), str(reason)) for part, reason in (document.get("access") or {}).items()),
        shared_cache=cache.get("shared"),
    )


def _container(status: Document) -> Container:
    state = status.get("state") or {}
    waiting = state.get("waiting") or {}
    terminated = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    return Container(
        name=status["name"],
        ready=status.get("ready", False),
        restarts=status.get("restartCount", 0),
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        terminated_reason=terminated.get("reason", ""),
        terminated_message=terminated.get("message", ""),
        exit_code=terminated.get("exitCode"),
        running="running" in state,
    )


def _spec(document: object, model: type[Spec]) -> Spec | Invalid:
    try:
        return model.model_validate({} if document is None else document)
    except ValidationError as error:
        return Invalid("; ".join(complaints(error)))


def controller(document: Document) -> Document | None:
    """The owner reference of the object's controller."""
    owners = document["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), None)


def owned_by(document: Document, uid: str) -> bool:
    """Whether the object's controller is the object of that uid."""
    owner = controller(document)
    return owner is not None and owner.get("uid") == uid


def lost_by_us(document: Document, deployment: str) -> bool:
    """Whether the object was made for that LLMDeployment by this operator, and somebody took its owner away."""
    metadata = document["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    ours = {names.LABEL_INSTANCE: deployment, names.LABEL_MANAGED_BY: names.MANAGED_BY}
    marked = names.ANNOTATION_INTENT in annotations and all(labels.get(key) == value for key, value in ours.items())
    return marked and controller(document) is None
