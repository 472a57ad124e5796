"""Threads in which long requests are checked, so that the others go on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

THREADS = 2
"""Each may keep the event loop from running for a few milliseconds, one after the other; what is more waits."""

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="checks")


async def in_thread(work: Callable[[], T]) -> T:
    """What the work returns, or raises."""
    return await asyncio.get_running_loop().run_in_executor(_threads, work)
