"""Ends every task of a loop, which is all that is left of kopf when the watches end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Any

ORDERLY_SECONDS = 1.0
"""How long the root tasks may take to end what they began, in their own order."""

END_SECONDS = 3.0
"""How long what is left then is cancelled, again and again."""

AGAIN_SECONDS = 0.05
"""How long a cancelled task has before it is cancelled again: some of kopf's swallow one, or start others."""

_log = logging.getLogger(__name__)


async def end(roots: Collection[asyncio.Task[Any]]) -> None:
    """End every task of this loop but the current one, in a bounded time.

    The root tasks first, and once: in its own order kopf leaves no coroutine behind that nobody has awaited, and a
    second cancel would break that order. How it goes on from there waits for seconds, so the rest is just cancelled.
    """
    for task in roots:
        task.cancel()
    await asyncio.wait(roots, timeout=ORDERLY_SECONDS)
    await _cancel_the_rest()


async def _cancel_the_rest() -> None:
    now, current = asyncio.get_running_loop().time, asyncio.current_task()
    last = now() + END_SECONDS
    while (left := asyncio.all_tasks() - {current}) and now() < last:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=AGAIN_SECONDS)
    if left:
        _log.warning("%d tasks of the watches do not end", len(left))
