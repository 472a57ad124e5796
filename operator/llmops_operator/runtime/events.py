"""What an event means: which keys have to be looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llmops_operator import names
from llmops_operator.cluster import kinds
from llmops_operator.cluster.kinds import Key
from llmops_operator.cluster.references import key_of, referenced
from llmops_operator.world import controller

OWN = frozenset(kind.name for kind in kinds.OWN)


@dataclass(frozen=True)
class Event:
    """Something happened to an object; `document` is how it was last seen, `gone` that it is no more."""

    document: dict[str, Any]
    gone: bool = False


Deliver = Callable[[Event], None]
"""Where events go; may be called from any thread."""


class Known:
    """The objects of the operator's own kinds, and what each of them names, as far as events have told."""

    def __init__(self) -> None:
        """Know nothing."""
        self._named: dict[Key, frozenset[Key]] = {}

    def note(self, user: Key, named: frozenset[Key]) -> None:
        """An object is there and names these."""
        self._named[user] = named

    def forget(self, user: Key) -> None:
        """The object is gone."""
        self._named.pop(user, None)

    def users(self, key: Key) -> list[Key]:
        """The objects that name this one, and those that name these: each once, the nearest first."""
        found: dict[Key, None] = {}
        level = [key]
        while level:
            level = [user for user, named in self._named.items() if user not in found and not named.isdisjoint(level)]
            found |= dict.fromkeys(level)
        return [user for user in found if user != key]

    def objects(self) -> frozenset[Key]:
        """All objects that are there."""
        return frozenset(self._named)


def affected(event: Event, known: Known) -> list[Key]:
    """The keys to look at; what is there and what it names is noted on the way."""
    document, metadata = event.document, event.document["metadata"]
    if document["kind"] not in OWN:
        owner = _owner(metadata, document)
        return [owner] if owner else []
    key = key_of(document)
    if event.gone:
        known.forget(key)
    else:
        known.note(key, referenced(document))
    return [key, *known.users(key)]


def _owner(metadata: dict[str, Any], document: dict[str, Any]) -> Key | None:
    """The LLMDeployment of a child: by its controller, or by its label when that is another object or nobody."""
    owner = controller(document)
    name = owner["name"] if owner is not None and owner["kind"] == names.LLM_DEPLOYMENT else None
    name = name or (metadata.get("labels") or {}).get(names.LABEL_INSTANCE)
    return Key(names.LLM_DEPLOYMENT, metadata["namespace"], name) if name else None
