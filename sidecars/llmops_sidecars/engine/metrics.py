"""What the engine's side measures; the guard counts what clients see, the difference is the way between."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from llmops_sidecars.openai.errors import ApiError
from llmops_sidecars.proxy.asgi import ClientDisconnectedError
from llmops_sidecars.proxy.metrics import FIRST_TOKEN_SECONDS, INTER_TOKEN_SECONDS, counted


class Outcome(StrEnum):
    """How a generation ended."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"


class EngineMetrics:
    """The metrics in one registry, and when the engine last gave a sign of life."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = counted("llmops_engine_requests", "Generations by how they ended", ["outcome"], registry)
        self._first_token = Histogram(
            "llmops_engine_first_token_seconds",
            "From sending a request to its first token",
            buckets=FIRST_TOKEN_SECONDS,
            registry=registry,
        )
        self._inter_token = Histogram(
            "llmops_engine_inter_token_seconds",
            "Between two tokens of one answer",
            buckets=INTER_TOKEN_SECONDS,
            registry=registry,
        )
        self.retries = Counter("llmops_engine_retries", "Requests sent to the engine once more", registry=registry)
        self.fallbacks = Counter("llmops_engine_fallbacks", "Requests sent to the fallback", registry=registry)
        self.ejected = Gauge("llmops_engine_ejected_endpoints", "Endpoints out of rotation", registry=registry)
        self._in_flight = Gauge("llmops_engine_in_flight", "Generations under way", registry=registry)
        self._token_at: float | None = None
        for outcome in Outcome:
            self._requests.labels(outcome.value)

    def seconds_since_token(self) -> float | None:
        """How long ago the engine produced a token; None when it never has."""
        return None if self._token_at is None else time.monotonic() - self._token_at

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Count one generation, by what it raises."""
        self._in_flight.inc()
        outcome = Outcome.CANCELLED
        try:
            yield
            outcome = Outcome.COMPLETED
        except ApiError as error:
            outcome = outcome_of(error)
            raise
        except ClientDisconnectedError:
            raise
        except Exception:
            outcome = Outcome.FAILED
            raise
        finally:
            self._in_flight.dec()
            self._requests.labels(outcome.value).inc()

    def clock(self) -> Callable[[], None]:
        """What is to be called at each piece of an answer that is asked for now: it measures the time before."""
        before, histogram = time.monotonic(), self._first_token

        def came() -> None:
            nonlocal before, histogram
            self._token_at = now = time.monotonic()
            histogram.observe(now - before)
            before, histogram = now, self._inter_token

        return came


def outcome_of(error: ApiError) -> Outcome:
    """What an error means for the engine."""
    if error.status < 500:  # noqa: PLR2004 - the border between the client's faults and ours
        return Outcome.REFUSED
    by_code = {"engine_timeout": Outcome.TIMEOUT, "engine_failed": Outcome.FAILED, "internal_error": Outcome.FAILED}
    return by_code.get(error.code, Outcome.UNAVAILABLE)
