"""The thread that drives a batch: takes requests in, keeps its pace, and does what the worst faults say."""

from __future__ import annotations

import os
import queue
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from cpu_llm.batch import Batch, Job, Load
from cpu_llm.faults import EngineFrozenError, ModelCrashedError

REPORT_SECONDS = 0.1
"""Time between two reports of the load."""

_IDLE_PACE = 0.001
"""Seconds that an iteration takes at least when no request could move."""


@dataclass(frozen=True)
class _Stop:
    request_id: str


@dataclass(frozen=True)
class _Close:
    pass


class InferenceEngine:
    """A batch on a thread of its own. The thread alone touches the batch; all others leave it notes."""

    def __init__(
        self, batch: Batch, iteration_seconds: float, report: Callable[[Load], None], log: Callable[[str], None]
    ) -> None:
        """Make an engine that does nothing yet.

        Args:
            batch: empty, and from now on the engine's own.
            iteration_seconds: how long an iteration takes at least.
            report: told the load every REPORT_SECONDS while there is work, and when there is none any more.
            log: told why the engine ends, when it does so unasked.
        """
        self._batch, self._pace = batch, iteration_seconds
        self._report, self._log = report, log
        self._notes: queue.SimpleQueue[Job | _Stop | _Close] = queue.SimpleQueue()
        self._closing = False
        self._next_report = 0.0
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a request that `batch.admissible` has let pass."""
        self._notes.put(job)

    def stop(self, request_id: str) -> None:
        """End the requests of this id early."""
        self._notes.put(_Stop(request_id))

    def close(self) -> None:
        """Let every request end, then the thread; waits for it, however long."""
        self._notes.put(_Close())
        self._thread.join()

    def _run(self) -> None:
        try:
            self._iterate()
        except EngineFrozenError:
            self._log("fault: the engine stands still")
            threading.Event().wait()
        except ModelCrashedError:
            os._exit(1)
        except Exception:  # noqa: BLE001 - whatever it is, without its engine the process would only hold requests
            self._log(traceback.format_exc())
            os._exit(1)

    def _iterate(self) -> None:
        self._tell(time.monotonic())
        due = 0.0
        while self._take_notes():
            due = self._pace + _began(due, time.monotonic(), self._pace)
            time.sleep(max(0.0, due - time.monotonic()))
            now = time.monotonic()
            if not self._batch.step(now):
                time.sleep(_IDLE_PACE)
            if self._batch.idle or now >= self._next_report:
                self._tell(now)

    def _take_notes(self) -> bool:
        """Read all notes, waiting for one when there is nothing else to do; False when it is time to end."""
        while self._batch.idle and not self._closing:
            self._take(self._notes.get())
        while not self._notes.empty():
            self._take(self._notes.get())
        return not (self._closing and self._batch.idle)

    def _take(self, note: Job | _Stop | _Close) -> None:
        match note:
            case Job():
                self._batch.add(note)
            case _Stop(request_id):
                self._batch.stop(request_id)
            case _Close():
                self._closing = True

    def _tell(self, now: float) -> None:
        self._next_report = now + REPORT_SECONDS
        self._report(self._batch.load())


def _began(due: float, now: float, pace: float) -> float:
    """When an iteration began: where the last one was due, or now after a pause; lost time is not made up for."""
    return due if now - due < pace else now
