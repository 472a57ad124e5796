"""Deadlines that are hardly ever reached, made cheap: what a request path needs many of.

`asyncio.timeout` sets and cancels a timer of the loop for each use. Here a use is an entry in a table, and one timer
per loop looks at the table when the earliest entry known to it is due. Entries that have gone by then cost nothing.
"""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self


class Deadline:
    """`with Deadline(seconds): await …` raises TimeoutError, as `asyncio.timeout` does, when the block takes longer."""

    __slots__ = ("_at", "_seconds", "_sweeper", "_task", "expired")

    def __init__(self, seconds: float) -> None:
        """So many seconds from the block's beginning."""
        self._seconds = seconds

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None, "a deadline is for what a task awaits"  # noqa: S101 - for mypy
        self._task, self.expired = task, False
        self._at = loop.time() + self._seconds
        self._sweeper = _sweeper_of(loop)
        self._sweeper.entries.add(self)
        if self._at < self._sweeper.next:
            self._sweeper.schedule(self._at)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._sweeper.entries.discard(self)
        if self.expired and not self._task.uncancel() and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from error

    @property
    def at(self) -> float:
        """When it is reached, in the loop's time."""
        return self._at

    def expire(self) -> None:
        """Cancel the task: the block ends with TimeoutError."""
        self.expired = True
        self._task.cancel()


class _Sweeper:
    """The entries of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.entries: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.next = float("inf")

    def schedule(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.next, self._timer = at, self.loop.call_at(at, self._sweep)

    def _sweep(self) -> None:
        now = self.loop.time()
        self.next, self._timer = float("inf"), None
        for entry in sorted((entry for entry in self.entries if entry.at <= now), key=lambda entry: entry.at):
            self.entries.discard(entry)
            entry.expire()
        if self.entries:
            self.schedule(min(entry.at for entry in self.entries))


class _Thread(threading.local):
    sweeper: _Sweeper | None = None
    """Of the thread's last loop."""


_THREAD = _Thread()


def _sweeper_of(loop: asyncio.AbstractEventLoop) -> _Sweeper:
    if _THREAD.sweeper is None or _THREAD.sweeper.loop is not loop:
        _THREAD.sweeper = _Sweeper(loop)
    return _THREAD.sweeper
