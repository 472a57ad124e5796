"""Gathers what one pass needs into one World: every object read afresh, the guards asked, all at once."""

from __future__ import annotations

import asyncio
from datetime import datetime

from llmops_operator import names
from llmops_operator.api import GuardPolicySpec, LLMDeploymentSpec, PromptTemplateSpec
from llmops_operator.cluster import kinds
from llmops_operator.cluster.client import Client
from llmops_operator.cluster.errors import NotFoundError
from llmops_operator.cluster.guards import Guards
from llmops_operator.cluster.kinds import Document, Key, Kind
from llmops_operator.cluster.references import lists, referenced
from llmops_operator.settings import Settings
from llmops_operator.world import Lists, Pod, World, pod, resource

MOST_REFERENCES = 512
"""Objects that are read for one: more than any spec can name, and includes are at most eight deep."""


async def find(client: Client, kind: Kind, namespace: str, name: str) -> Document | None:
    """One object, or None when there is none."""
    try:
        return await client.get(kind, namespace, name)
    except NotFoundError:
        return None


async def observe(client: Client, guards: Guards, settings: Settings, document: Document, now: datetime) -> World:
    """The World around an LLMDeployment, given as just read; raises ApiError when any part cannot be read."""
    metadata = document["metadata"]
    named, children, pods = await asyncio.gather(
        find_references(client, document),
        _children(client, metadata["namespace"], metadata["name"]),
        _pods(client, metadata["namespace"], metadata["name"]),
    )
    templates = (one for one in named if one["kind"] == names.PROMPT_TEMPLATE)
    policies = [one for one in named if one["kind"] == names.GUARD_POLICY]
    return World(
        now=now,
        settings=settings,
        deployment=resource(document, LLMDeploymentSpec),
        templates={one["metadata"]["name"]: resource(one, PromptTemplateSpec) for one in templates},
        policies={one["metadata"]["name"]: resource(one, GuardPolicySpec) for one in policies},
        lists=await find_lists(client, *policies),
        children=children,
        pods=pods,
        guards=await guards.ask(pods),
    )


async def find_lists(client: Client, *policies: Document) -> Lists:
    """The texts of the ConfigMaps that policies of one namespace name; those that do not exist are left out."""
    keys = {(one["metadata"]["namespace"], name) for one in policies for name in lists(one)}
    found = await asyncio.gather(*(find(client, kinds.CONFIG_MAP, namespace, name) for namespace, name in keys))
    return {one["metadata"]["name"]: one.get("data") or {} for one in found if one is not None}


async def find_references(client: Client, document: Document) -> list[Document]:
    """The objects that one names, and those that these name, as far as they exist; each once."""
    found: dict[Key, Document | None] = {}
    wanted = referenced(document)
    while wanted and len(found) < MOST_REFERENCES:
        level = sorted(wanted)
        read = await asyncio.gather(*(find(client, kinds.BY_NAME[key.kind], key.namespace, key.name) for key in level))
        found |= zip(level, read, strict=True)
        wanted = frozenset(key for one in read if one is not None for key in referenced(one)) - found.keys()
    return [one for one in found.values() if one is not None]


async def _children(client: Client, namespace: str, name: str) -> tuple[Document, ...]:
    """Objects with our labels, and those that stand in the place of a child without them."""
    labels = _selector(names.labels(name))
    lists = await asyncio.gather(*(client.list(kind, namespace, labels) for kind in kinds.CHILDREN))
    ours = [one for found in lists for one in found]
    seen = {(one["kind"], one["metadata"]["name"]) for one in ours}
    places = [(kind, place) for kind, place in _places(name) if (kind.name, place) not in seen]
    others = await asyncio.gather(*(find(client, kind, namespace, place) for kind, place in places))
    return (*ours, *(one for one in others if one is not None))


def _places(name: str) -> list[tuple[Kind, str]]:
    """Every name that a child may have."""
    configurations = (names.sidecar_configuration(name), names.engine_configuration(name))
    named_alike = (kind for kind in kinds.CHILDREN if kind is not kinds.CONFIG_MAP)
    return [
        *((kinds.CONFIG_MAP, configuration) for configuration in configurations),
        *((kind, names.child(name)) for kind in named_alike),
    ]


async def _pods(client: Client, namespace: str, name: str) -> tuple[Pod, ...]:
    found = await client.list(kinds.POD, namespace, _selector(names.selector(name)))
    return tuple(pod(one) for one in found)


def _selector(labels: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())
