"""Answers that have ended and wait for the guard's word: nothing is remembered that it has not let pass."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

from llmops_sidecars.cache.entry import Entry
from llmops_sidecars.contract import SharedStore

WAIT_SECONDS = 10.0
"""How long the guard may take to check the end of an answer."""

MAX_ANSWERS = 512
MAX_CHARACTERS = 8 * 1024 * 1024


class Candidate(Struct, frozen=True):
    """An entry, how long it may live once it is admitted, in seconds, and where other pods are to find it."""

    entry: Entry
    ttl_seconds: float
    shared: SharedStore | None = None


class Pending:
    """Candidates by request id, bounded in number, characters and time; the oldest goes first. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: OrderedDict[str, tuple[float, Candidate]] = OrderedDict()
        self._characters = 0

    def __len__(self) -> int:
        self._drop_late()
        return len(self._waiting)

    def add(self, request_id: str, candidate: Candidate) -> None:
        """Keep a candidate. When its id is in use for another one, no commit could tell them apart: both go."""
        self._drop_late()
        if request_id in self._waiting:
            self._remove(request_id)
            return
        self._waiting[request_id] = (self._clock(), candidate)
        self._characters += len(candidate.entry.text)
        while len(self._waiting) > MAX_ANSWERS or self._characters > MAX_CHARACTERS:
            self._remove(next(iter(self._waiting)))

    def take(self, request_id: str) -> Candidate | None:
        """The candidate of a request, once."""
        self._drop_late()
        return self._remove(request_id)

    def purge(self, meant: Callable[[str], bool]) -> None:
        """Forget the candidates whose keys are meant."""
        for request_id in [name for name, (_, one) in self._waiting.items() if meant(one.entry.key)]:
            self._remove(request_id)

    def _drop_late(self) -> None:
        now = self._clock()
        while self._waiting:
            request_id, (since, _) = next(iter(self._waiting.items()))
            if now - since < WAIT_SECONDS:
                return
            self._remove(request_id)

    def _remove(self, request_id: str) -> Candidate | None:
        _, candidate = self._waiting.pop(request_id, (0.0, None))
        if candidate is not None:
            self._characters -= len(candidate.entry.text)
        return candidate
