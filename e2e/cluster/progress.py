"""Lines on stderr that say what is being done and for how long: nothing that takes seconds happens in silence.

On a terminal the running step's time counts in place. Elsewhere a line appears when a step takes longer than
`HEARTBEAT` seconds, every so many seconds, and one when it ends.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

HEARTBEAT = 15.0
TICK = 0.5
QUIET = 0.05
"""Steps shorter than this many seconds had nothing to do and are not worth a line."""


@dataclass
class Step:
    """A step that runs; `note` changes what is shown behind its text."""

    text: str
    detail: str = ""
    start: float = field(default_factory=time.monotonic)

    def note(self, detail: str) -> None:
        """Say what the step is busy with."""
        self.detail = detail

    def line(self, now: float) -> str:
        """The step as one line at that time."""
        detail = f" ({self.detail})" if self.detail else ""
        return f"{now - self.start:7.1f}s  {self.text}{detail}"


@contextmanager
def step(text: str, stream: TextIO | None = None, heartbeat: float = HEARTBEAT) -> Iterator[Step]:
    """Show `text` with its time while the block runs, and when it ended or failed."""
    out = stream or sys.stderr
    running, done = Step(text), threading.Event()
    shown = threading.Thread(target=_show, args=(running, done, out, heartbeat), daemon=True)
    shown.start()
    failed = True
    try:
        yield running
        failed = False
    finally:
        done.set()
        shown.join()
        _finish(running, out, failed=failed)


def say(text: str, stream: TextIO | None = None) -> None:
    """One line without a time, aligned with the others."""
    print(f"{'':8}  {text}", file=stream or sys.stderr, flush=True)


def _show(running: Step, done: threading.Event, out: TextIO, heartbeat: float) -> None:
    terminal = out.isatty()
    while not done.wait(TICK if terminal else heartbeat):
        now = time.monotonic()
        if terminal:
            out.write(f"\r\033[K{running.line(now)}…")
            out.flush()
        else:
            print(f"{running.line(now)}…", file=out, flush=True)


def _finish(running: Step, out: TextIO, *, failed: bool) -> None:
    now = time.monotonic()
    if out.isatty():
        out.write("\r\033[K")
    if failed:
        print(f"{running.line(now)}: failed", file=out, flush=True)
    elif now - running.start >= QUIET:
        running.detail = ""
        print(running.line(now), file=out, flush=True)
