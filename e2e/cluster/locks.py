"""Locks between processes: files that the kernel unlocks when their holder ends, however it ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster import progress


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold the lock for the time of the block; says so when another process must end `what` first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step(f"waiting for another process: {what}"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
