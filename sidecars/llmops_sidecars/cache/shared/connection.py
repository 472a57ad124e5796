"""One connection to the store. It has one command under way at most, and none is sent before the last one's reply.

So a reply cannot come to another question: whoever asked may leave or be told that it is late, the connection waits on
its own for what was asked, and is closed when that does not come, is no reply, or is more than one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from llmops_sidecars.cache.shared.resp import MOST_REPLY_BYTES, GarbledError, Reply, command, parse

HEADROOM = 64 * 1024
"""What a reply may have beside its longest value."""


class StoreError(Exception):
    """No reply. `reason` says why, in a word: down, late, garbled, busy, or the store's own code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


DOWN, LATE, GARBLED, BUSY = "down", "late", "garbled", "busy"

LOOKUP_SECONDS = 0.010
"""How long a request may wait for the store."""

LAST_LOOK_SECONDS = 0.002
PATIENCE_SECONDS = 0.25
"""How long a connection waits for a reply that is late."""

Outcome = Reply | StoreError


class Connection(asyncio.Protocol):
    """`free` is told when it may be asked again, `lost` when it is gone for good."""

    def __init__(self, free: Callable[[Connection], None], lost: Callable[[Connection], None]) -> None:
        self._free, self._lost = free, lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._busy = False
        self.overdue = False
        """Whether it has waited for a reply for longer than a look-up may, whatever it was asked."""
        self._asked: asyncio.Future[Outcome] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._why = DOWN

    @property
    def is_open(self) -> bool:
        """Whether it can be asked at all."""
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, words: tuple[bytes, ...], seconds: float) -> asyncio.Future[Outcome]:
        """Send a command; what it comes to is there after so many seconds at the latest. Only while it is free."""
        if self._busy:
            raise AssertionError("a connection was asked before it had replied")
        self._busy, self._asked = True, (asked := self._loop.create_future())
        if self._transport is None or self._transport.is_closing():
            self._settle(StoreError(DOWN))
            return asked
        usual = min(seconds, LOOKUP_SECONDS)
        self._deadline = self._loop.call_later(usual - LAST_LOOK_SECONDS, self._late, seconds - usual)
        self._transport.write(command(*words))
        return asked

    def close(self) -> None:
        """Give it up, and what it was asked."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open. Nothing has been asked yet."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - the protocol's own signature
        """It is gone, whoever ended it."""
        self._settle(StoreError(self._why))
        self._lost(self)

    def data_received(self, data: bytes) -> None:
        """Some of a reply."""
        self._buffer += data
        if not self._busy or len(self._buffer) > MOST_REPLY_BYTES + HEADROOM:
            self._give_up(GARBLED)
            return
        try:
            found = parse(self._buffer)
        except GarbledError:
            self._give_up(GARBLED)
            return
        if found is None:
            return
        reply, end = found
        if end != len(self._buffer):
            self._give_up(GARBLED)
            return
        self._buffer.clear()
        self._busy = self.overdue = False
        self._settle(reply)
        self._free(self)

    def _late(self, left: float) -> None:
        """Look once more: after a long callback timers come first, with the reply already there and not read yet."""
        self._deadline = self._loop.call_later(LAST_LOOK_SECONDS, self._overdue, left)

    def _overdue(self, left: float) -> None:
        """Go on to wait, for who has time left, or alone for a while."""
        self.overdue = True
        if left <= 0:
            self._settle(StoreError(LATE))
        self._deadline = self._loop.call_later(max(left, PATIENCE_SECONDS), self._give_up, LATE)

    def _give_up(self, why: str) -> None:
        """Close; who asked hears of it at once, not when the transport has been closed."""
        self._why = why
        self._settle(StoreError(why))
        self.close()

    def _settle(self, outcome: Outcome) -> None:
        asked, self._asked = self._asked, None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if asked is not None and not asked.done():
            asked.set_result(outcome)
