"""Carries a plan out: applies, nudges pods, prunes, and never fights.

A hot loop can come from two sides, and both are bounded here: a server that does not keep what it was given (the same
intent is never applied twice to the version that it made of it), and somebody who changes an object back each time
(two repairs at once, then one every five seconds).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from http import HTTPStatus

from llmops_operator import names
from llmops_operator.cluster import kinds
from llmops_operator.cluster.client import Client
from llmops_operator.cluster.errors import NotFoundError, TransientError
from llmops_operator.cluster.kinds import Document, Key

logger = logging.getLogger(__name__)

REPAIRS_AT_ONCE = 2
REPAIR_SECONDS = 5.0

Place = tuple[str, str]
"""Kind and name of a child."""


class Outcome(StrEnum):
    """What became of an object."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"
    POSTPONED = "postponed"
    DELETED = "deleted"


@dataclass(frozen=True)
class Result:
    """What was done to one child; `live` is the server's answer, `again` the seconds until a postponed write is due."""

    kind: str
    name: str
    outcome: Outcome
    live: Document | None = None
    again: float | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name} {self.outcome}"


@dataclass(frozen=True)
class _Memory:
    """Our last write of an object: its intent, the version it led to, and what is left of the right to repair."""

    intent: str
    version: str
    tokens: float
    since: float
    told: bool = False


class Applier:
    """Writes children, and remembers its last write of each."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        """`clock` is monotonic, in seconds."""
        self._client = client
        self._clock = clock
        self._memories: dict[Key, dict[Place, _Memory]] = {}

    def forget(self, owner: Key) -> None:
        """The owner is gone, and its children with it."""
        self._memories.pop(owner, None)

    async def apply(self, owner: Key, document: Document, live: Mapping[str, object] | None) -> Result:
        """Apply one child of `owner`; `live` is the object as observed, its uid is a precondition.

        Raises ApiError; a 409 says that the object was replaced since it was observed.
        """
        place = (document["kind"], document["metadata"]["name"])
        memory = self._memories.setdefault(owner, {}).get(place)
        intent = document["metadata"]["annotations"][names.ANNOTATION_INTENT]
        version, uid = _identity(live)
        if memory is not None and (memory.intent, memory.version) == (intent, version):
            self._tell(owner, place, memory)
            return Result(*place, Outcome.UNCHANGED)
        budget = self._budget(memory, intent)
        if budget.tokens < 1:
            return Result(*place, Outcome.POSTPONED, again=(1 - budget.tokens) * REPAIR_SECONDS)
        answer = await self._client.apply(_with_uid(document, uid))
        after = answer["metadata"]["resourceVersion"]
        spent = 0 if memory is None or memory.intent != intent else 1
        self._memories[owner][place] = replace(budget, version=after, tokens=budget.tokens - spent)
        return Result(*place, _outcome(version, after), answer)

    async def nudge(self, namespace: str, pod: str, uid: str, annotations: Mapping[str, str]) -> None:
        """Annotate a running pod; one that is gone or was replaced needs it no more."""
        change = {"metadata": {"uid": uid, "annotations": dict(annotations)}}
        try:
            await self._client.patch(kinds.POD, namespace, pod, change)
        except NotFoundError:
            return
        except TransientError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise

    async def prune(self, live: Mapping[str, object]) -> Result:
        """Delete exactly this object."""
        document: Document = dict(live)
        kind, metadata = kinds.of(document), document["metadata"]
        await self._client.delete(kind, metadata["namespace"], metadata["name"], metadata["uid"])
        return Result(kind.name, metadata["name"], Outcome.DELETED)

    def _budget(self, memory: _Memory | None, intent: str) -> _Memory:
        """A new intent starts afresh; a repair has what was left plus one for every REPAIR_SECONDS since."""
        now = self._clock()
        if memory is None or memory.intent != intent:
            return _Memory(intent, "", REPAIRS_AT_ONCE, now)
        tokens = min(REPAIRS_AT_ONCE, memory.tokens + (now - memory.since) / REPAIR_SECONDS)
        return _Memory(intent, "", tokens, now)

    def _tell(self, owner: Key, place: Place, memory: _Memory) -> None:
        if memory.told:
            return
        self._memories[owner][place] = replace(memory, told=True)
        logger.error("%s: the API server does not keep %s %s as applied; it is left as it is", owner, *place)


def _identity(live: Mapping[str, object] | None) -> tuple[str | None, str | None]:
    if live is None:
        return None, None
    metadata = dict(live)["metadata"]
    return (metadata["resourceVersion"], metadata["uid"]) if isinstance(metadata, dict) else (None, None)


def _with_uid(document: Document, uid: str | None) -> Document:
    return document if uid is None else document | {"metadata": document["metadata"] | {"uid": uid}}


def _outcome(before: str | None, after: str) -> Outcome:
    if before is None:
        return Outcome.CREATED
    return Outcome.UNCHANGED if before == after else Outcome.CONFIGURED
