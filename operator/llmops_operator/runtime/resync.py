"""The resync: now and then everything is looked at again, whatever events may have been lost."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

from llmops_operator.cluster import kinds
from llmops_operator.cluster.client import Client
from llmops_operator.cluster.errors import ApiError
from llmops_operator.runtime.events import Event

JITTER = 0.2
RETRY_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Resync:
    """Lists the operator's own kinds and hands every object on, with a delay in seconds."""

    def __init__(
        self, client: Client, namespaces: Sequence[str], seconds: float, take: Callable[[Event, float], None]
    ) -> None:
        """`seconds` is the period; no namespaces are all of them."""
        self._client, self._namespaces, self._seconds, self._take = client, namespaces, seconds, take

    async def run(self) -> None:
        """Everything at once at the start, then once a period, spread over a part of it, until cancelled."""
        spread = 0.0
        while True:
            try:
                await self._all(spread)
            except ApiError as error:
                _log.warning("resync: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            spread = self._seconds * JITTER
            await asyncio.sleep(self._seconds * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - spreads load

    async def _all(self, spread: float) -> None:
        for kind in kinds.OWN:
            for namespace in self._namespaces or (None,):
                for document in await self._client.list(kind, namespace):
                    self._take(Event(document), random.uniform(0, spread))  # noqa: S311 - spreads load
