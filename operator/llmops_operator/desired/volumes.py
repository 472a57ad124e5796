"""The volumes of a serving pod, and where its containers mount them."""

from __future__ import annotations

from typing import Any

from llmops_operator import names
from llmops_operator.api.common import SecretKey
from llmops_operator.api.llmdeployment import ExternalEngine, ModelSource
from llmops_operator.desired import access, paths, policy, shared, triton
from llmops_operator.desired.facts import Facts

Document = dict[str, Any]

CONTRACT, SOCKET, CREDENTIALS, FALLBACK = "contract", "socket", "credentials", "fallback"
MODEL, ENGINE, SHARED_MEMORY, TEMPORARY = "model", "engine", "shared-memory", "temporary"


def volumes(facts: Facts) -> list[Document]:
    """All volumes of the pod."""
    if facts.is_external:
        asked = [*shared.volumes(facts), *_credentials(facts), *_fallback(facts)]
        return [_contract(facts), *_mounted(facts), *asked]
    if not facts.has_triton:
        return [_contract(facts), *_mounted(facts), *shared.volumes(facts), _socket()]
    return [
        _contract(facts),
        *_mounted(facts),
        *shared.volumes(facts),
        _socket(),
        {"name": TEMPORARY, "emptyDir": {}},
        {"name": SHARED_MEMORY, "emptyDir": {"medium": "Memory", "sizeLimit": shared_memory(facts)}},
        *_engine(facts),
        *_model(facts),
        *_credentials(facts),
        *_fallback(facts),
    ]


def shared_memory(facts: Facts) -> str:
    """Size of /dev/shm: one MB per Python process without GPUs; NCCL between GPUs needs gigabytes."""
    if facts.resources.shared_memory is not None:
        return facts.resources.shared_memory
    if not facts.on_gpus:
        return "64Mi"
    return "2Gi" if facts.resources.gpus == 1 else f"{7 + facts.resources.gpus}Gi"


def contract_mount() -> Document:
    """The contract's directory, mounted whole: a file mounted by subPath would never change."""
    return {"name": CONTRACT, "mountPath": paths.CONTRACT_DIRECTORY, "readOnly": True}


def socket_mount() -> Document:
    """The directory of the cache's socket."""
    return {"name": SOCKET, "mountPath": paths.SOCKET_DIRECTORY}


def credentials_mounts(facts: Facts) -> list[Document]:
    """The directory of the pod's one secret, when it has one."""
    if _secret(facts) is None:
        return []
    return [{"name": CREDENTIALS, "mountPath": paths.CREDENTIALS_DIRECTORY, "readOnly": True}]


def fallback_mounts(facts: Facts) -> list[Document]:
    """The directory of the fallback's key, for the container that asks it."""
    if facts.fallback is None or facts.fallback.credentials_secret_ref is None:
        return []
    return [{"name": FALLBACK, "mountPath": paths.FALLBACK_DIRECTORY, "readOnly": True}]


def policy_mounts(facts: Facts) -> list[Document]:
    """What the policy's rules read in the guard: keys, files of webhooks, the model's tokenizer.

    The model is mounted also while no rule counts: otherwise the first one that does would start the engine again.
    """
    own = policy.mounts(facts.policy)
    return [*own, *_model_mounts(facts.spec.model.source)] if facts.has_triton else own


def fetched_model_mount() -> Document:
    """The model's directory, for the container that fills it."""
    return {"name": MODEL, "mountPath": paths.MODEL_DIRECTORY}


def engine_mounts(facts: Facts) -> list[Document]:
    """What Triton's container mounts.

    The repository's files are mounted one by one, beside those of the image: they never change in a running pod.
    """
    files = [
        {"name": ENGINE, "mountPath": f"{triton.repository(facts)}/{path}", "subPath": key(path), "readOnly": True}
        for path in triton.files(facts)
    ]
    return [
        {"name": TEMPORARY, "mountPath": paths.TEMPORARY_DIRECTORY},
        {"name": SHARED_MEMORY, "mountPath": paths.SHARED_MEMORY_DIRECTORY},
        *files,
        *_model_mounts(facts.spec.model.source),
    ]


def key(path: str) -> str:
    """The key in the engine's ConfigMap under which a file of the repository stands."""
    return path.rpartition("/")[2]


def _contract(facts: Facts) -> Document:
    return {"name": CONTRACT, "configMap": {"name": names.sidecar_configuration(facts.name)}}


def _engine(facts: Facts) -> list[Document]:
    if not triton.files(facts):
        return []
    return [{"name": ENGINE, "configMap": {"name": names.engine_configuration(facts.name)}}]


def _model(facts: Facts) -> list[Document]:
    source = facts.spec.model.source
    if source is None:
        return []
    if source.volume is not None:
        return [{"name": MODEL, "persistentVolumeClaim": {"claimName": source.volume.claim_name, "readOnly": True}}]
    if source.image is not None:
        image = {"reference": source.image.reference, "pullPolicy": source.image.pull_policy.value}
        return [{"name": MODEL, "image": image}]
    return [{"name": MODEL, "emptyDir": {}}]


def _model_mounts(source: ModelSource | None) -> list[Document]:
    if source is None:
        return []
    path = (source.volume and source.volume.path) or (source.image and source.image.path)
    mount = {"name": MODEL, "mountPath": paths.MODEL_DIRECTORY, "readOnly": True}
    return [mount | ({"subPath": path} if path else {})]


def _socket() -> Document:
    return {"name": SOCKET, "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}


def _credentials(facts: Facts) -> list[Document]:
    return _secret_volume(CREDENTIALS, _secret(facts))


def _fallback(facts: Facts) -> list[Document]:
    return _secret_volume(FALLBACK, facts.fallback.credentials_secret_ref if facts.fallback else None)


def _secret_volume(name: str, secret: SecretKey | None) -> list[Document]:
    if secret is None:
        return []
    items = [{"key": secret.key, "path": paths.CREDENTIALS_KEY}]
    source = {"secretName": secret.name, "items": items, "defaultMode": paths.OWNER_AND_GROUP}
    return [{"name": name, "secret": source}]


def _mounted(facts: Facts) -> list[Document]:
    """What the guard alone reads beside the contract: who may ask, and what its policy needs."""
    return [*access.volumes(facts), *policy.volumes(facts.policy)]


def _secret(facts: Facts) -> SecretKey | None:
    """The hub's token or the provider's key; the engine's container mounts neither."""
    if isinstance(facts.engine, ExternalEngine):
        return facts.engine.credentials_secret_ref
    source = facts.spec.model.source
    return source.hugging_face.token_secret_ref if source and source.hugging_face else None
