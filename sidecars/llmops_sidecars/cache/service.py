"""The cache itself.

remembered? ------------------ yes --> replay it
under way for another? ------- yes --> listen to it      --> ended well --> kept aside --commit--> remembered
otherwise --> generate, and let others listen meanwhile  --^

What may neither be remembered nor shared passes through as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from llmops_sidecars.cache.answer import send_entry, send_flight
from llmops_sidecars.cache.entry import Entry
from llmops_sidecars.cache.flight import Flight, Flights
from llmops_sidecars.cache.generation import generate, pass_through
from llmops_sidecars.cache.metrics import Metrics, Outcome
from llmops_sidecars.cache.pending import Candidate, Pending
from llmops_sidecars.cache.request import CacheRequest, store_bytes
from llmops_sidecars.cache.store import Eviction, Store
from llmops_sidecars.contract import Contract
from llmops_sidecars.proxy import metrics
from llmops_sidecars.proxy.asgi import Receive, Send, StreamSender
from llmops_sidecars.proxy.inprocess import AppDownstream

REMEMBERED_REASONS = frozenset({"stop", "length"})
"""How an answer must have ended to be remembered. The limit that "length" speaks of is part of the key."""


class Cache:
    """Answers requests from memory, from a generation under way, or by a new one. `clock` is monotonic, in seconds."""

    def __init__(self, engine: AppDownstream, clock: Callable[[], float]) -> None:
        self._engine, self._clock = engine, clock
        self._metrics = Metrics()
        self._store = Store(clock, self._evicted)
        self._pending = Pending(clock)
        self._flights = Flights()
        self._metrics.observe("llmops_cache_bytes", "Bytes that entries take.", lambda: self._store.bytes)
        self._metrics.observe("llmops_cache_entries", "Entries held.", lambda: len(self._store))
        self._metrics.observe("llmops_cache_pending", "Answers that wait for a commit.", lambda: len(self._pending))

    def apply(self, contract: Contract) -> None:
        """Take over the size that a contract allows; all else is read from the contract with each request."""
        self._store.resize(store_bytes(contract))

    async def answer(self, request: CacheRequest, sender: StreamSender) -> None:
        """Answer a request that has a key; raises ApiError, after the first event too."""
        entry = self._find(request)
        if entry is not None:
            await send_entry(sender, entry, request.request_id, self._count(request, Outcome.HIT))
            return
        flight = self._flights.find(request.key) if request.key is not None and request.look_up else None
        if flight is not None:
            await self._follow(request, flight, sender, Outcome.SHARED)
        else:
            await self._lead(request, sender)

    async def bypass(self, request: CacheRequest, receive: Receive, send: Send) -> None:
        """Let the engine answer a request that the cache has no part in."""
        headers = self._count(request, Outcome.BYPASS)
        await pass_through(self._engine, request.headers, request.body, receive, send, headers)

    def commit(self, request_id: str) -> bool:
        """Remember the answer to a request, now that it has passed the guard; whether there was one to remember."""
        candidate = self._pending.take(request_id)
        if candidate is None or not self._store.put(candidate.entry, candidate.ttl_seconds):
            return False
        self._metrics.admissions.inc()
        return True

    def exposition(self) -> bytes:
        """The cache's metrics."""
        return metrics.exposition(self._metrics.registry)

    def _find(self, request: CacheRequest) -> Entry | None:
        if request.key is None or not request.look_up:
            return None
        return self._store.get(request.key, request.ttl_seconds)

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
        entry = Entry(request.key, flight.model, flight.created, text, flight.finish_reason, flight.usage)
        self._pending.add(request.request_id, Candidate(entry, request.ttl_seconds))

    def _count(self, request: CacheRequest, outcome: Outcome) -> tuple[tuple[bytes, bytes], ...]:
        """Count an outcome; gives the headers that tell it, and how long it took to find out."""
        self._metrics.lookups.labels(request.revision, outcome).inc()
        took = f"cache;dur={(self._clock() - request.received) * 1000:.3f}"
        return ((b"x-llmops-cache", outcome.encode()), (b"server-timing", took.encode()))

    def _evicted(self, reason: Eviction) -> None:
        self._metrics.evictions.labels(reason).inc()
