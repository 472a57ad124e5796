"""Models that a policy brings along: where the guard has them, and what they want of a pod.

Their files are mounted read-only into the guard alone, each source once for each kind of rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llmops_operator.api import GuardPolicySpec
from llmops_operator.api.brought import BroughtModel
from llmops_operator.api.injection import Injection, InjectionModel
from llmops_operator.api.matching import NamesModel
from llmops_operator.api.units import to_bytes
from llmops_operator.desired import paths
from llmops_operator.desired.digest import digest
from llmops_sidecars import contract

Document = dict[str, Any]

INJECTION, NAMES = "injection", "names"
"""What their volumes begin with."""

MEBIBYTE = 1024 * 1024


def injection(given: Injection) -> contract.InjectionRule:
    """The rule as the guard reads it."""
    model = given.model
    brought = contract.InjectionModel(_file(model), tuple(model.labels)) if model else None
    return contract.InjectionRule(threshold=float(given.threshold), model=brought, action=contract.Action(given.action))


def names(given: NamesModel | None) -> contract.NamesModel | None:
    """What finds names, as the guard reads it."""
    if given is None:
        return None
    return contract.NamesModel(_file(given), tuple(given.labels), float(given.threshold))


def volumes(spec: GuardPolicySpec) -> list[Document]:
    """The models' volumes."""
    return list({_name(one): {"name": _name(one), **_volume(one)} for one in _models(spec)}.values())


def mounts(spec: GuardPolicySpec) -> list[Document]:
    """Where the guard has them."""
    return list({_name(one): _mount(one) for one in _models(spec)}.values())


def memory(spec: GuardPolicySpec) -> int:
    """MiB that all of them take; rules for prompts and for answers share a model that finds names."""
    return sum(map(_mebibytes, _of_injection(spec))) + sum(_room_for_names(spec).values())


def pod_part(spec: GuardPolicySpec) -> list[Any]:
    """What of them is in the pods: a change of it makes new ones."""
    found = [{"source": _source(one), "memory": one.memory} for one in _of_injection(spec)]
    return found + [{"names": file, "memory": room} for file, room in sorted(_room_for_names(spec).items())]


def _models(spec: GuardPolicySpec) -> Iterator[BroughtModel]:
    yield from _of_injection(spec)
    yield from _of_names(spec)


def _of_injection(spec: GuardPolicySpec) -> Iterator[InjectionModel]:
    return (one.injection.model for one in spec.input if one.injection is not None and one.injection.model is not None)


def _of_names(spec: GuardPolicySpec) -> Iterator[NamesModel]:
    rules = (*spec.input, *spec.output)
    return (one.pii.model for one in rules if one.pii is not None and one.pii.model is not None)


def _room_for_names(spec: GuardPolicySpec) -> dict[str, int]:
    """MiB, by file; where two rules want different amounts, the larger."""
    room: dict[str, int] = {}
    for one in _of_names(spec):
        room[_file(one)] = max(_mebibytes(one), room.get(_file(one), 0))
    return room


def _mebibytes(model: BroughtModel) -> int:
    return -(-to_bytes(model.memory) // MEBIBYTE)


def _source(model: BroughtModel) -> Any:
    return model.model_dump(mode="json", by_alias=True, include={"volume", "image"}, exclude_defaults=True)


def _name(model: BroughtModel) -> str:
    return f"{NAMES if isinstance(model, NamesModel) else INJECTION}-{digest(_source(model))[:8]}"


def _file(model: BroughtModel) -> str:
    return f"{paths.GUARD_MODELS_DIRECTORY}/{_name(model)}/{model.file}"


def _volume(model: BroughtModel) -> Document:
    if model.volume is not None:
        return {"persistentVolumeClaim": {"claimName": model.volume.claim_name, "readOnly": True}}
    assert model.image is not None  # noqa: S101 - for the types; the schema wants exactly one
    return {"image": {"reference": model.image.reference, "pullPolicy": model.image.pull_policy.value}}


def _mount(model: BroughtModel) -> Document:
    path = (model.volume and model.volume.path) or (model.image and model.image.path)
    mount = {"name": _name(model), "mountPath": f"{paths.GUARD_MODELS_DIRECTORY}/{_name(model)}", "readOnly": True}
    return mount | ({"subPath": path} if path else {})
