"""The cache itself.

remembered here? ------------- yes --> replay it
under way for another? ------- yes --> listen to it      --> ended well --> kept aside --commit--> remembered, here and
remembered by another pod? --- yes --> replay it                                                  in the shared store
otherwise --> generate, and let others listen meanwhile  --^

What may neither be remembered nor shared passes through as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from msgspec import Struct

from llmops_sidecars.cache.answer import send_entry, send_flight
from llmops_sidecars.cache.entry import Entry
from llmops_sidecars.cache.flight import Flight, Flights
from llmops_sidecars.cache.generation import generate, pass_through
from llmops_sidecars.cache.metrics import Metrics, Outcome
from llmops_sidecars.cache.pending import Candidate, Pending
from llmops_sidecars.cache.purge import Marks, Selection
from llmops_sidecars.cache.request import CacheRequest, shared_store, store_bytes
from llmops_sidecars.cache.shared.sharing import Sharing
from llmops_sidecars.cache.store import Eviction, Remembered, Store
from llmops_sidecars.contract import Contract
from llmops_sidecars.openai.errors import not_remembered
from llmops_sidecars.proxy import metrics
from llmops_sidecars.proxy.asgi import Receive, Send, StreamSender
from llmops_sidecars.proxy.inprocess import AppDownstream

REMEMBERED_REASONS = frozenset({"stop", "length"})
"""How an answer must have ended to be remembered. The limit that "length" speaks of is part of the key."""


class Purged(Struct, frozen=True):
    """What a purge did: how many answers this pod dropped, and whether others know; None without a shared store."""

    removed: int
    shared: bool | None


class Cache:
    """Answers requests from memory, from a generation under way, or by a new one. `clock` is monotonic, in seconds."""

    def __init__(
        self, engine: AppDownstream, clock: Callable[[], float], wall: Callable[[], float] = time.time
    ) -> None:
        self._engine, self._clock, self._wall = engine, clock, wall
        self._metrics = Metrics()
        self._store = Store(clock, self._evicted)
        self._pending = Pending(clock)
        self._flights = Flights()
        self._marks = Marks()
        self.sharing = Sharing(self._metrics.registry, self._marks, self._forget, wall)
        self._metrics.observe("llmops_cache_bytes", "Bytes that entries take.", lambda: self._store.bytes)
        self._metrics.observe("llmops_cache_entries", "Entries held.", lambda: len(self._store))
        self._metrics.observe("llmops_cache_pending", "Answers that wait for a commit.", lambda: len(self._pending))

    def apply(self, contract: Contract) -> None:
        """Take over the size and the shared store of a contract; all else is read from it with each request."""
        self._store.resize(store_bytes(contract))
        self.sharing.use(shared_store(contract))

    async def answer(self, request: CacheRequest, sender: StreamSender) -> None:
        """Answer a request that has a key; raises ApiError, after the first event too."""
        if (found := self._find(request)) is not None:
            await self._replay(request, found, Outcome.HIT, sender)
        elif (flight := self._flight(request)) is not None:
            await self._follow(request, flight, sender, Outcome.SHARED)
        elif (found := await self._find_shared(request)) is not None:
            await self._replay(request, found, Outcome.HIT_SHARED, sender)
        elif request.only_remembered:
            self._count(request, Outcome.MISS)
            raise not_remembered()
        elif (flight := self._flight(request)) is not None:
            await self._follow(request, flight, sender, Outcome.SHARED)
        else:
            await self._lead(request, sender)

    async def bypass(self, request: CacheRequest, receive: Receive, send: Send) -> None:
        """Let the engine answer a request that the cache has no part in; raises ApiError where it must not."""
        headers = self._count(request, Outcome.BYPASS)
        if request.only_remembered:
            raise not_remembered()
        await pass_through(self._engine, request.headers, request.body, receive, send, headers)

    def commit(self, request_id: str) -> bool:
        """Remember the answer to a request, now that it has passed the guard; whether there was one to remember."""
        candidate = self._pending.take(request_id)
        if candidate is None or self._marks.cover(candidate.entry.key, candidate.entry.stored):
            return False
        entry, age = candidate.entry, max(self._wall() - candidate.entry.stored, 0.0)
        remembered = self._store.put(entry, candidate.ttl_seconds, age)
        shared = self.sharing.put(candidate.shared, entry, candidate.ttl_seconds)
        if remembered or shared:
            self._metrics.admissions.inc()
        return remembered or shared

    async def purge(self, selected: Selection) -> Purged:
        """Give nothing of that any more which was asked for until now, in this pod and in those that share a store."""
        now = self._wall()
        self._marks.add(selected, now)
        return Purged(self._forget(selected), await self.sharing.purge(selected, now))

    def exposition(self) -> bytes:
        """The cache's metrics."""
        return metrics.exposition(self._metrics.registry)

    def _find(self, request: CacheRequest) -> Remembered | None:
        if request.key is None or not request.look_up:
            return None
        return self._store.get(request.key, request.ttl_seconds, request.max_age_seconds)

    def _flight(self, request: CacheRequest) -> Flight | None:
        """What is under way is joined also where an answer's age is bounded: it has none yet."""
        if request.key is None or not request.look_up or request.only_remembered:
            return None
        return self._flights.find(request.key)

    async def _find_shared(self, request: CacheRequest) -> Remembered | None:
        """What another pod remembers; this one does too from then on."""
        if request.key is None or not request.look_up or request.shared is None:
            return None
        entry = await self.sharing.get(request.shared, request.key, request.max_age_seconds)
        if entry is None:
            return None
        age = max(self._wall() - entry.stored, 0.0)
        self._store.put(entry, request.ttl_seconds, age)
        return Remembered(entry, age)

    async def _replay(self, request: CacheRequest, found: Remembered, outcome: Outcome, sender: StreamSender) -> None:
        headers = (*self._count(request, outcome), (b"age", b"%d" % found.age_seconds))
        await send_entry(sender, found.entry, request.request_id, headers)

    def _forget(self, selected: Selection) -> int:
        """Drop what this pod remembers of that; how many answers."""
        self._pending.purge(selected.covers)
        return self._store.purge(selected.covers)

    async def _lead(self, request: CacheRequest, sender: StreamSender) -> None:
        work, flight = partial(generate, self._engine, request.headers, request.body), Flight(whole=True)
        if request.look_up and request.key is not None:
            self._flights.start(request.key, flight, work)
        else:
            flight.run(work)
        await self._follow(request, flight, sender, Outcome.MISS if request.look_up else Outcome.BYPASS)

    async def _follow(self, request: CacheRequest, flight: Flight, sender: StreamSender, outcome: Outcome) -> None:
        with flight.listen() as listener:
            headers = self._count(request, outcome)
            await send_flight(
                sender, flight, listener, request.request_id, headers, lambda: self._keep(request, flight)
            )

    def _keep(self, request: CacheRequest, flight: Flight) -> None:
        """Keep an answer aside that may be remembered; an empty one is not worth it."""
        text = flight.text()
        if request.key is None or not text or flight.finish_reason not in REMEMBERED_REASONS:
            return
        entry = Entry(
            request.key, flight.model, flight.created, text, flight.finish_reason, flight.usage, request.asked
        )
        self._pending.add(request.request_id, Candidate(entry, request.ttl_seconds, request.shared))

    def _count(self, request: CacheRequest, outcome: Outcome) -> tuple[tuple[bytes, bytes], ...]:
        """Count an outcome; gives the headers that tell it, and how long it took to find out."""
        self._metrics.lookups.labels(request.revision, outcome).inc()
        took = f"cache;dur={(self._clock() - request.received) * 1000:.3f}"
        key = ((b"x-llmops-cache-key", request.key.rpartition(".")[2].encode()),) if request.key is not None else ()
        return ((b"x-llmops-cache", outcome.encode()), (b"server-timing", took.encode()), *key)

    def _evicted(self, reason: Eviction) -> None:
        self._metrics.evictions.labels(reason).inc()
