"""What the operator would do with some files, without a cluster: the core of `llmops-operator plan`.

The text is YAML: the children of every LLMDeployment, and the conditions as comments above them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from llmops_operator import names
from llmops_operator.api import GuardPolicySpec, LLMDeploymentSpec, PromptTemplateSpec
from llmops_operator.decide.plan import plan
from llmops_operator.decide.status import deployment_status, policy_status, template_status
from llmops_operator.settings import Settings
from llmops_operator.world import Lists, Metadata, Resource, Spec, World, resource

Document = dict[str, Any]

NAMESPACE = "default"
"""Of objects that name none, as kubectl does it."""

UID = "00000000-0000-0000-0000-000000000000"
"""Stands for the uid that an object gets in a cluster."""

KINDS = (names.LLM_DEPLOYMENT, names.PROMPT_TEMPLATE, names.GUARD_POLICY)
CONFIG_MAP = "ConfigMap"
"""Not ours, but read: policies name lists of phrases in them."""


@dataclass(frozen=True)
class Outcome:
    """`text` is for standard output; `errors`, a line each, say why it is not all that was asked for."""

    text: str
    errors: tuple[str, ...]


@dataclass(frozen=True)
class Placed:
    """An object that is used, and the file that it stands in."""

    file: str
    document: Document

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.document["kind"])

    @property
    def key(self) -> tuple[str, str, str]:
        """Kind, namespace and name."""
        metadata = self.document["metadata"]
        return self.kind, metadata["namespace"], metadata["name"]

    @property
    def title(self) -> str:
        """What it is called in messages."""
        kind, namespace, name = self.key
        return f"{kind} {namespace}/{name}"


class UnreadableError(ValueError):
    """A file or an object in it cannot be used; the message says where."""


def plan_documents(files: Mapping[str, str], settings: Settings, now: datetime) -> Outcome:
    """Plan the objects in these files, given as name and content; those that nothing here names are left out."""
    try:
        found = read_documents(files)
    except UnreadableError as error:
        return Outcome("", (str(error),))
    parts = [_report(placed, found, settings, now) for placed in found if placed.kind in KINDS]
    return Outcome("".join(text for text, _ in parts), tuple(error for _, error in parts if error))


def read_documents(files: Mapping[str, str]) -> list[Placed]:
    """The objects in files, given as name and content; raises UnreadableError."""
    found = list(_read(files))
    _require_different(found)
    return found


def _read(files: Mapping[str, str]) -> Iterator[Placed]:
    for file, content in files.items():
        try:
            documents = list(yaml.safe_load_all(content))
        except yaml.YAMLError as error:
            raise UnreadableError(f"{file}: this is not YAML: {' '.join(str(error).split())}") from error
        for place, document in enumerate(documents, start=1):
            if document is not None and _is_used(f"{file}: document {place}", document):
                yield Placed(file, _completed(f"{file}: document {place}", document))


def _is_used(where: str, document: object) -> bool:
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise UnreadableError(f"{where} is no Kubernetes object: it has no kind")
    if (document.get("apiVersion"), document["kind"]) == ("v1", CONFIG_MAP):
        return True
    if not str(document.get("apiVersion", "")).startswith(f"{names.GROUP}/"):
        return False
    if document["apiVersion"] != names.API_VERSION or document["kind"] not in KINDS:
        known = f"{', '.join(KINDS)} of {names.API_VERSION}"
        raise UnreadableError(f"{where}: {document['apiVersion']} {document['kind']} is unknown; known are {known}")
    return True


def _completed(where: str, document: Document) -> Document:
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise UnreadableError(f"{where}: {document['kind']} has no metadata.name")
    return document | {"metadata": {"namespace": NAMESPACE, "uid": UID, "generation": 1, **metadata}}


def _require_different(found: Iterable[Placed]) -> None:
    seen: dict[tuple[str, str, str], str] = {}
    for placed in found:
        if placed.key in seen:
            raise UnreadableError(f"{placed.file}: {placed.title} stands in {seen[placed.key]} already")
        seen[placed.key] = placed.file


def _report(placed: Placed, found: list[Placed], settings: Settings, now: datetime) -> tuple[str, str]:
    """The text for one object, and its error, which is empty for one that the operator would go on with."""
    if placed.kind == names.LLM_DEPLOYMENT:
        return _deployment(placed, _world(placed, found, settings, now))
    if placed.kind == names.PROMPT_TEMPLATE:
        near = [one for one in found if one.key[1] == placed.key[1]]
        templates = named(near, names.PROMPT_TEMPLATE, PromptTemplateSpec)
        return _content(placed, template_status(placed.key[2], templates, now))
    lists = lists_in(one for one in found if one.key[1] == placed.key[1])
    return _content(placed, policy_status(resource(placed.document, GuardPolicySpec), lists, now))


def _world(placed: Placed, found: list[Placed], settings: Settings, now: datetime) -> World:
    near = [one for one in found if one.key[1] == placed.key[1]]
    return World(
        now=now,
        settings=settings,
        deployment=resource(placed.document, LLMDeploymentSpec),
        templates=named(near, names.PROMPT_TEMPLATE, PromptTemplateSpec),
        policies=named(near, names.GUARD_POLICY, GuardPolicySpec),
        lists=lists_in(near),
    )


def lists_in(found: Iterable[Placed]) -> Lists:
    """The texts of ConfigMaps, by name and key."""
    maps = (one.document for one in found if one.kind == CONFIG_MAP)
    return {one["metadata"]["name"]: {key: str(text) for key, text in (one.get("data") or {}).items()} for one in maps}


def named(found: list[Placed], kind: str, model: type[Spec]) -> dict[str, Resource[Spec]]:
    """The objects of one kind, by their names."""
    parsed = (resource(one.document, model) for one in found if one.kind == kind)
    return {_metadata(one).name: one for one in parsed}


def _metadata(one: Resource[Any]) -> Metadata:
    return one.metadata


def _deployment(placed: Placed, world: World) -> tuple[str, str]:
    planned = plan(world)
    head = _comments(placed.title, deployment_status(world, planned))
    if planned.hold is not None:
        return head, f"{placed.file}: {placed.title}: {planned.hold.reason}: {planned.hold.message}"
    return head + "".join(f"---\n{_yaml(child.document)}" for child in planned.children), ""


def _content(placed: Placed, status: Document) -> tuple[str, str]:
    ready = status["conditions"][0]
    error = f"{placed.file}: {placed.title}: {ready['message']}" if ready["status"] != "True" else ""
    return _comments(placed.title, status), error


def _comments(title: str, status: Document) -> str:
    """The object's name, digests and conditions, a comment line each."""
    digests = [f"{name}: {status[name]}" for name in ("revision", "configuration", "version") if status.get(name)]
    said = [f"{one['type']}={one['status']} {one['reason']}: {one['message']}" for one in status["conditions"]]
    return "".join(f"# {line}\n" for line in (title, *(f"  {one}" for one in (*digests, *said))))


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, and no anchors: for people."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _yaml(document: Document) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)
