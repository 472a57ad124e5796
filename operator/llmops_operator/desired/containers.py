"""The containers of a serving pod.

    fetch-model   init container, only for a model of the hub: fills /model and ends
    cache         native sidecar: started before the guard, so it stops after it
    guard         native sidecar: the pod's only open ports
    triton        main container; with an external engine that is the guard, in the form `serve`, and with the
                  benchmark engine the guard as it is, so that the path is the one of a pod with a model

No container has a startup probe that another waits for: the guard answers 503 until the cache's socket is there, and is
ready only when a token came back from the engine, so that all of them start at the same time.
"""

from __future__ import annotations

import math
from typing import Any

from llmops_operator import names
from llmops_operator.api.llmdeployment import (
    Cache,
    HuggingFaceSource,
    ModelRepositoryEngine,
    TensorRTLLMEngine,
    VLLMEngine,
)
from llmops_operator.api.units import to_bytes
from llmops_operator.desired import access, paths, policy, shared, triton
from llmops_operator.desired.facts import Facts
from llmops_operator.desired.volumes import (
    contract_mount,
    credentials_mounts,
    engine_mounts,
    fallback_mounts,
    fetched_model_mount,
    policy_mounts,
    socket_mount,
)

Document = dict[str, Any]

TRITON_USER = 1000
"""`triton-server` in NVIDIA's images."""

PYTHON = "/opt/llmops/bin/python"
MEBIBYTE = 1024 * 1024
GUARD_MEMORY = 1024
"""MiB at most: hundreds of requests with bodies of a MiB in flight. Idle it takes a tenth of that."""

CACHE_MEMORY = 256
"""MiB at most for the process without its entries; these count one and a half times: keys, objects, fragments."""

LOADING_PERIOD_SECONDS, LOADING_PROBES = 5, 720
"""A GPU engine may load and tune for an hour; one that still does not answer then is started again."""


def init_containers(facts: Facts) -> list[Document]:
    """What starts before the main container, in this order."""
    if facts.is_external:
        return []
    source = facts.spec.model.source
    fetching = [fetch(facts, source.hugging_face)] if source and source.hugging_face else []
    sidecars = [cache(facts), guard(facts)] if facts.has_triton else [cache(facts)]
    return [*fetching, *(one | {"restartPolicy": "Always"} for one in sidecars)]


def containers(facts: Facts) -> list[Document]:
    """The main container."""
    if facts.has_triton:
        return [engine(facts)]
    return [serve(facts) if facts.is_external else guard(facts)]


def fetch(facts: Facts, source: HuggingFaceSource) -> Document:
    """Fills the model's directory with one commit of the hub; the only container that holds the token."""
    flags = {
        "--endpoint": facts.platform.hub_url,
        "--repository": source.repository,
        "--revision": source.revision,
        "--target": paths.MODEL_DIRECTORY,
        **({"--token-file": paths.CREDENTIALS_FILE} if source.token_secret_ref else {}),
    }
    return _sidecar_image(facts, names.FETCH_CONTAINER) | {
        "args": ["fetch", *(f"{flag}={value}" for flag, value in flags.items())],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "volumeMounts": [fetched_model_mount(), *credentials_mounts(facts)],
    }


def cache(facts: Facts) -> Document:
    """The cache and the engine's driver. It has no probe of its own: the guard's asks through it for a token."""
    return _sidecar_image(facts, names.CACHE_CONTAINER) | {
        "args": ["cache", f"--contract={paths.CONTRACT_FILE}", f"--socket={paths.SOCKET_FILE}"],
        "resources": _resources(96, _cache_memory(facts)),
        "volumeMounts": [contract_mount(), socket_mount(), *shared.mounts(facts), *fallback_mounts(facts)],
    }


def guard(facts: Facts) -> Document:
    """The front door."""
    brought = policy.memory(facts.policy)
    return _sidecar_image(facts, names.GUARD_CONTAINER) | {
        "args": ["guard", f"--contract={paths.CONTRACT_FILE}", f"--socket={paths.SOCKET_FILE}", *_listening(facts)],
        **_front_door(facts),
        "resources": _resources(96 + brought, GUARD_MEMORY + brought),
        "volumeMounts": [contract_mount(), socket_mount(), *access.mounts(facts), *policy_mounts(facts)],
    }


def serve(facts: Facts) -> Document:
    """Guard, cache and driver in one process, for an engine outside the pod."""
    brought = policy.memory(facts.policy)
    return _sidecar_image(facts, names.GUARD_CONTAINER) | {
        "args": ["serve", f"--contract={paths.CONTRACT_FILE}", *_listening(facts)],
        **_front_door(facts),
        "resources": _resources(128 + brought, GUARD_MEMORY + brought + _cache_memory(facts)),
        "volumeMounts": [
            contract_mount(),
            *access.mounts(facts),
            *policy_mounts(facts),
            *shared.mounts(facts),
            *credentials_mounts(facts),
            *fallback_mounts(facts),
        ],
    }


def engine(facts: Facts) -> Document:
    """Triton. Its preStop hook waits until the guard has nothing in flight, so that TERM never meets a stream."""
    return {
        "name": names.ENGINE_CONTAINER,
        "image": _engine_image(facts),
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": _restricted(user=TRITON_USER),
        "command": triton.command(facts),
        "env": _engine_environment(),
        **_engine_probes(facts),
        "lifecycle": {"preStop": {"httpGet": {"path": "/drained", "port": names.ADMIN_PORT}}},
        "resources": _engine_resources(facts),
        "volumeMounts": engine_mounts(facts),
    }


def _sidecar_image(facts: Facts, name: str) -> Document:
    return {
        "name": name,
        "image": facts.platform.sidecar,
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": _restricted(),
    }


def _restricted(user: int | None = None) -> Document:
    """What Pod Security's profile `restricted` asks of a container, and a read-only root."""
    identity = {} if user is None else {"runAsUser": user, "runAsGroup": user}
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        **identity,
    }


def _listening(facts: Facts) -> list[str]:
    return [f"--port={names.GUARD_PORT}", f"--admin-port={names.ADMIN_PORT}", *access.flags(facts)]


def _front_door(facts: Facts) -> Document:
    """Ports, probes and drain of the container that clients reach.

    Probes and drain use the administration port, which speaks plain HTTP also where clients are served by TLS.
    Readiness is looked at every second: it says that the engine produced a token, and goes false when a drain begins.
    """
    port_name = names.guard_port_name(tls=facts.access.tls is not None)
    return {
        "ports": [
            {"name": port_name, "containerPort": names.GUARD_PORT, "protocol": "TCP"},
            {"name": names.ADMIN_PORT_NAME, "containerPort": names.ADMIN_PORT, "protocol": "TCP"},
        ],
        "readinessProbe": _get("/readyz", periodSeconds=1, timeoutSeconds=5, failureThreshold=3),
        "livenessProbe": _get("/healthz", periodSeconds=10, timeoutSeconds=5, failureThreshold=6),
        "lifecycle": {"preStop": {"exec": {"command": [PYTHON, "-m", "llmops_sidecars", "drain"]}}},
    }


def _get(path: str, **timing: int) -> Document:
    return {"httpGet": {"path": path, "port": names.ADMIN_PORT_NAME}, **timing}


def _resources(request: int, limit: int) -> Document:
    """Of a sidecar, in MiB."""
    return {"requests": {"cpu": "50m", "memory": f"{request}Mi"}, "limits": {"memory": f"{limit}Mi"}}


def _cache_memory(facts: Facts) -> int:
    """MiB; a deployment without a cache has room for one too, so that switching it on restarts no pod."""
    entries = to_bytes((facts.spec.cache or Cache()).max_bytes)
    return CACHE_MEMORY + math.ceil(entries * 1.5 / MEBIBYTE)


def _engine_image(facts: Facts) -> str:
    match facts.engine:
        case TensorRTLLMEngine(image=image):
            return image or facts.platform.tensorrt_llm
        case VLLMEngine(image=image):
            return image or facts.platform.vllm
        case ModelRepositoryEngine(image=image):
            return image
        case _:
            raise AssertionError("an engine outside the pod has no container")


def _engine_environment() -> list[Document]:
    """The engine downloads nothing; what it compiles goes below HOME, since its root is read-only."""
    values = {"HF_HUB_OFFLINE": "1", "HOME": paths.TEMPORARY_DIRECTORY, "TRANSFORMERS_OFFLINE": "1"}
    return [{"name": name, "value": value} for name, value in values.items()]


def _engine_probes(facts: Facts) -> Document:
    """Probes by curl, for NVIDIA's images, which have it.

    The kubelet cannot reach loopback, and an image of the user may hold no such program: there the guard's deep
    probe keeps clients away until the engine answers.
    """
    if isinstance(facts.engine, ModelRepositoryEngine):
        return {}
    return {
        "startupProbe": _asks("ready", periodSeconds=LOADING_PERIOD_SECONDS, failureThreshold=LOADING_PROBES),
        "livenessProbe": _asks("live", periodSeconds=30, failureThreshold=6),
    }


def _asks(what: str, **timing: int) -> Document:
    url = f"{triton.HTTP_URL}/v2/health/{what}"
    return {"exec": {"command": ["curl", "--silent", "--fail", "--max-time", "5", url]}, "timeoutSeconds": 6, **timing}


def _engine_resources(facts: Facts) -> Document:
    wanted = facts.resources
    amounts = {"cpu": wanted.cpu, "memory": wanted.memory}
    requests = {name: amount for name, amount in amounts.items() if amount is not None}
    limits = {"memory": wanted.memory} if wanted.memory is not None else {}
    gpus = {"nvidia.com/gpu": str(wanted.gpus)} if facts.on_gpus else {}
    found = {"requests": requests | gpus, "limits": limits | gpus}
    return {name: amounts for name, amounts in found.items() if amounts}
