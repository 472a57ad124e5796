"""Why pods do not serve yet, in words for a person: what Kubernetes says about them, and what to do.

Each function looks at one kind of trouble; the first in TROUBLES that finds something is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llmops_operator import names
from llmops_operator.decide import access
from llmops_operator.world import Container, Document, Pod, World

MESSAGE_LENGTH = 800
"""Of what is quoted; the end of a log says more than its beginning."""

_IMAGE_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"})
_SETUP_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_CRASH_REASON = "CrashLoopBackOff"
_KILLED_FOR_MEMORY = "OOMKilled"


@dataclass(frozen=True)
class Trouble:
    """What keeps pods from serving: `reason` in CamelCase, `message` with what to do."""

    reason: str
    message: str


def first_trouble(world: World) -> Trouble | None:
    """The most telling trouble of the pods that are not ready, the newest first."""
    waiting = sorted(_waiting(world), key=lambda pod: pod.created, reverse=True)
    return next((trouble for find in TROUBLES if (trouble := find(world, waiting))), None)


def _refused(world: World, _: list[Pod]) -> Trouble | None:
    """The ReplicaSet may not make pods: quota, Pod Security, an admission policy."""
    deployment = world.child("Deployment", names.child(world.deployment.metadata.name))
    message = _condition_message(deployment, "ReplicaFailure")
    return None if message is None else Trouble("PodsRefused", f"the cluster refuses new pods: {_quoted(message)}")


def _unschedulable(_: World, pods: list[Pod]) -> Trouble | None:
    for pod in pods:
        if pod.scheduling:
            message = (
                f"no node takes pod {pod.name}: {_quoted(pod.scheduling)}; free or add such a node, or ask for less"
            )
            return Trouble("Unschedulable", message)
    return None


def _image(_: World, pods: list[Pod]) -> Trouble | None:
    for pod, container in _containers(pods):
        if container.waiting_reason in _IMAGE_REASONS:
            said = _quoted(container.waiting_message) or container.waiting_reason
            message = f"the image of container {container.name} in pod {pod.name} cannot be pulled: {said}"
            return Trouble("ImagePullFailed", f"{message}; check its name, and the pull secrets")
    return None


def _setup(_: World, pods: list[Pod]) -> Trouble | None:
    for pod, container in _containers(pods):
        if container.waiting_reason in _SETUP_REASONS:
            said = _quoted(container.waiting_message) or container.waiting_reason
            message = f"container {container.name} in pod {pod.name} cannot be made: {said}"
            return Trouble("ContainerNotMade", f"{message}; create what is missing")
    return None


def _fetch(_: World, pods: list[Pod]) -> Trouble | None:
    for pod, container in _containers(pods):
        if container.name == names.FETCH_CONTAINER and _failed(container):
            message = f"the model cannot be fetched in pod {pod.name}: {_last_words(container)}"
            return Trouble("ModelFetchFailed", f"{message}; check repository, revision and token")
    return None


def _engine(_: World, pods: list[Pod]) -> Trouble | None:
    for pod, container in _containers(pods):
        if container.name == names.ENGINE_CONTAINER and _keeps_failing(container):
            message = f"the engine of pod {pod.name} ends (it was started {container.restarts + 1} times)"
            return Trouble("EngineFailing", f"{message}: {_last_words(container)}; {_engine_advice(container)}")
    return None


def _sidecar(_: World, pods: list[Pod]) -> Trouble | None:
    for pod, container in _containers(pods):
        if container.name in (names.GUARD_CONTAINER, names.CACHE_CONTAINER) and _failed(container):
            message = f"container {container.name} of pod {pod.name} ends: {_last_words(container)}"
            return Trouble("SidecarFailing", f"{message}; read its log: kubectl logs {pod.name} -c {container.name}")
    return None


def _access(world: World, pods: list[Pod]) -> Trouble | None:
    found = access.problem(world, pods)
    return None if found is None else Trouble("AccessInvalid", found)


TROUBLES: tuple[Callable[[World, list[Pod]], Trouble | None], ...] = (
    _refused,  # there is no pod at all
    _unschedulable,  # a pod without a node
    _image,  # a node without an image
    _setup,  # an image without what it mounts
    _fetch,  # a pod without a model
    _engine,  # a model that the engine cannot run
    _sidecar,  # an engine without a front door
    _access,  # a front door without its keys or its certificate
)


def _waiting(world: World) -> Iterator[Pod]:
    return (pod for pod in world.pods if not pod.ready and not pod.terminating)


def _containers(pods: list[Pod]) -> Iterator[tuple[Pod, Container]]:
    return ((pod, container) for pod in pods for container in pod.containers)


def _failed(container: Container) -> bool:
    """Whether it ended with an error and has not been started again."""
    return not container.running and container.exit_code not in (None, 0)


def _keeps_failing(container: Container) -> bool:
    """Whether it ended with an error and is not ready since: an engine that loads again will likely end again."""
    return not container.ready and container.exit_code not in (None, 0)


def _last_words(container: Container) -> str:
    said = _quoted(container.terminated_message)
    return said or f"{container.terminated_reason or _CRASH_REASON}, exit code {container.exit_code}"


def _engine_advice(container: Container) -> str:
    if container.terminated_reason == _KILLED_FOR_MEMORY:
        return "give it more memory in spec.resources"
    return "check the model and the engine's arguments"


def _condition_message(document: Document | None, kind: str) -> str | None:
    conditions = (document or {}).get("status", {}).get("conditions") or ()
    found = (one.get("message", "") for one in conditions if (one["type"], one["status"]) == (kind, "True"))
    return next(found, None)


def _quoted(message: str) -> str:
    """The end of a message, in one line."""
    line = " ".join(message.split())
    return line if len(line) <= MESSAGE_LENGTH else f"…{line[-MESSAGE_LENGTH:]}"
