"""Something that may die, in a thread and loop of its own, started again with back-off for as long as it is wanted."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""What ran for so long was well: its next failure counts as the first."""

STOP_SECONDS = 8.0

_log = logging.getLogger(__name__)


class Supervisor:
    """Runs `make(stop)` again and again; `stop` is an event of the thread's loop that asks it to end."""

    def __init__(
        self,
        name: str,
        make: Callable[[asyncio.Event], Coroutine[Any, Any, None]],
        clock: Callable[[], float],
    ) -> None:
        """`clock` is monotonic."""
        self._name, self._make, self._clock = name, make, clock
        self.starts = 0
        """How often it was started."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def stop(self) -> None:
        """Ask it to end and wait, for some seconds."""
        self._stopping.set()
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, STOP_SECONDS)

    def _run(self) -> None:
        wait = 0.0
        while not self._stopping.is_set():
            started = self._clock()
            self.starts += 1
            try:
                asyncio.run(self._once())
            except (Exception, asyncio.CancelledError):  # noqa: BLE001 - whatever it died of, it is started again
                _log.exception("%s has failed", self._name)
            if self._stopping.is_set():
                return
            steady = self._clock() - started > STEADY_SECONDS
            wait = FIRST_SECONDS if steady or not wait else min(wait * 2, LONGEST_SECONDS)
            _log.warning("%s has ended; it is started again in %.1f s", self._name, wait)
            self._stopping.wait(wait)

    async def _once(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        if self._stopping.is_set():
            self._stop.set()
        await self._make(self._stop)
