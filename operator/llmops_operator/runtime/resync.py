"""The resync: everything is looked at again, whatever events may have been lost.

Now and then, and soon after the watches have read a list: what was deleted since their last event sent none.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

from llmops_operator.cluster import kinds
from llmops_operator.cluster.client import Client
from llmops_operator.cluster.errors import ApiError
from llmops_operator.cluster.kinds import Key
from llmops_operator.cluster.references import key_of
from llmops_operator.runtime.events import Event

JITTER = 0.2
RETRY_SECONDS = 5.0
BURST_SECONDS = 1.0
"""How long lists are gathered into one resync: at a start the watches read one of each kind."""

LEAST_SECONDS = 3.0
"""Between two resyncs that lists bring about: watches that fail read lists again and again."""

_log = logging.getLogger(__name__)


Take = Callable[[Event, float], None]
"""Where an object goes that is to be looked at, with a delay in seconds."""


class Resync:
    """Lists the operator's own kinds and hands every object on, those that are no longer there too."""

    def __init__(
        self,
        client: Client,
        namespaces: Sequence[str],
        seconds: float,
        take: Take,
        known: Callable[[], AbstractSet[Key]] = frozenset,
    ) -> None:
        """`seconds` is the period; no namespaces are all of them; `known` says what was there as far as is known."""
        self._client, self._namespaces, self._seconds = client, namespaces, seconds
        self._take, self._known = take, known
        self._wanted = asyncio.Event()

    def soon(self) -> None:
        """The watches have read a list; a resync that begins after this call covers it."""
        self._wanted.set()

    async def run(self) -> None:
        """Everything at once at the start and after lists, and once a period, spread over a part of it."""
        spread = 0.0
        while True:
            self._wanted.clear()
            try:
                await self._all(spread)
            except ApiError as error:
                _log.warning("resync: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            spread = 0.0 if await self._list_read() else self._seconds * JITTER

    async def _list_read(self) -> bool:
        """Wait for the end of the period, or of a burst of lists: whether it was a list."""
        period = self._seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load
        burst = asyncio.get_running_loop().time() + LEAST_SECONDS
        try:
            async with asyncio.timeout(period):
                await self._wanted.wait()
        except TimeoutError:
            return False
        await asyncio.sleep(max(BURST_SECONDS, burst - asyncio.get_running_loop().time()))
        return True

    async def _all(self, spread: float) -> None:
        before, listed = self._known(), set[Key]()
        for kind in kinds.OWN:
            for namespace in self._namespaces or (None,):
                for document in await self._client.list(kind, namespace):
                    listed.add(key_of(document))
                    self._take(Event(document), random.uniform(0, spread))  # noqa: S311 - spreads load
        for key in before - listed:
            metadata = {"namespace": key.namespace, "name": key.name}
            self._take(Event({"kind": key.kind, "metadata": metadata}, gone=True), 0.0)
