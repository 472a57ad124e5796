"""The rule `injection` of a policy, and what models that policies bring along want of a pod.

Their files are mounted read-only into the guard alone, each source once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llmops_operator.api import GuardPolicySpec
from llmops_operator.api.injection import Injection, InjectionModel
from llmops_operator.api.units import to_bytes
from llmops_operator.desired import paths
from llmops_operator.desired.digest import digest
from llmops_sidecars import contract

Document = dict[str, Any]

VOLUME = "injection"
MEBIBYTE = 1024 * 1024


def rule(given: Injection) -> contract.InjectionRule:
    """The rule as the guard reads it."""
    brought = contract.InjectionModel(_file(given.model), tuple(given.model.labels)) if given.model else None
    return contract.InjectionRule(threshold=float(given.threshold), model=brought, action=contract.Action(given.action))


def volumes(spec: GuardPolicySpec) -> list[Document]:
    """The models' volumes."""
    return list({_name(one): {"name": _name(one), **_volume(one)} for one in _models(spec)}.values())


def mounts(spec: GuardPolicySpec) -> list[Document]:
    """Where the guard has them."""
    return list({_name(one): _mount(one) for one in _models(spec)}.values())


def memory(spec: GuardPolicySpec) -> int:
    """MiB that all of them take."""
    return sum(-(-to_bytes(one.memory) // MEBIBYTE) for one in _models(spec))


def pod_part(spec: GuardPolicySpec) -> list[Any]:
    """What of them is in the pods: a change of it makes new ones."""
    return [{"source": _source(one), "memory": one.memory} for one in _models(spec)]


def _models(spec: GuardPolicySpec) -> Iterator[InjectionModel]:
    return (one.injection.model for one in spec.input if one.injection is not None and one.injection.model is not None)


def _source(model: InjectionModel) -> Any:
    return model.model_dump(mode="json", by_alias=True, include={"volume", "image"}, exclude_defaults=True)


def _name(model: InjectionModel) -> str:
    return f"{VOLUME}-{digest(_source(model))[:8]}"


def _file(model: InjectionModel) -> str:
    return f"{paths.GUARD_MODELS_DIRECTORY}/{_name(model)}/{model.file}"


def _volume(model: InjectionModel) -> Document:
    if model.volume is not None:
        return {"persistentVolumeClaim": {"claimName": model.volume.claim_name, "readOnly": True}}
    assert model.image is not None  # noqa: S101 - for the types; the schema wants exactly one
    return {"image": {"reference": model.image.reference, "pullPolicy": model.image.pull_policy.value}}


def _mount(model: InjectionModel) -> Document:
    path = (model.volume and model.volume.path) or (model.image and model.image.path)
    mount = {"name": _name(model), "mountPath": f"{paths.GUARD_MODELS_DIRECTORY}/{_name(model)}", "readOnly": True}
    return mount | ({"subPath": path} if path else {})
