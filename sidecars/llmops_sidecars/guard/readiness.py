"""Whether the engine answers, known from what it says to clients, and otherwise by asking it for one token."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from llmops_sidecars.proxy.downstream import Downstream, DownstreamError, read_response

OK = 200
FRESH_SECONDS = 5.0
"""How long one token proves that the engine works."""

RETRY_SECONDS = 0.25
"""Between two questions while it does not answer."""

PROBE_SECONDS = 5.0
"""How long one question may take: it waits in the engine's queue like any other."""

MOST_BYTES = 64 * 1024

_log = logging.getLogger(__name__)


class Readiness:
    """The engine's state; times are of a monotonic clock."""

    def __init__(self, downstream: Downstream, clock: Callable[[], float] = time.monotonic) -> None:
        """Start as not ready."""
        self._downstream, self._clock = downstream, clock
        self._last: float | None = None
        self.reason = "the engine has not answered yet"
        """Why it is not ready."""

    @property
    def ready(self) -> bool:
        """Whether the engine has said something lately; a little longer than it takes to ask it again."""
        return self._last is not None and self._clock() - self._last < FRESH_SECONDS + PROBE_SECONDS

    def mark(self, now: float) -> None:
        """The engine has said something."""
        self._last = now

    async def run(self) -> None:
        """Ask whenever nothing was heard for a while, for ever."""
        while True:
            if self._last is None or self._clock() - self._last >= FRESH_SECONDS:
                await self._probe()
            waited = 0.0 if self._last is None else self._clock() - self._last
            await asyncio.sleep(RETRY_SECONDS if self._last is None else max(FRESH_SECONDS - waited, RETRY_SECONDS))

    async def _probe(self) -> None:
        asked = self._clock()
        try:
            async with asyncio.timeout(PROBE_SECONDS), self._downstream.request("GET", "/probe") as response:
                body = await read_response(response, MOST_BYTES)
            if response.status == OK:
                self.mark(self._clock())
                return
            reason = f"the engine answered {response.status}: {body[:200].decode('utf-8', 'replace')}"
        except DownstreamError as error:
            reason = f"the engine does not answer: {error}"
        except TimeoutError:
            reason = f"the engine did not produce a token within {PROBE_SECONDS:g} s"
        if self._last is None or self._last <= asked:
            self._lost(reason)

    def _lost(self, reason: str) -> None:
        """Not ready from now on; said once per reason."""
        if self._last is not None or reason != self.reason:
            _log.warning("not ready", extra={"reason": reason})
        self._last, self.reason = None, reason
