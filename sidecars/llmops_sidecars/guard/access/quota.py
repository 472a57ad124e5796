"""What tenants may still ask for: requests and tokens by the minute, each a bucket that fills steadily.

A bucket holds a minute's worth. A request takes one from the first bucket, and its estimated prompt from the second;
when it has ended, the second is set right by what the engine counted. An answer may cost more than is there: the bucket
then goes below nothing, and the next request waits until it is filled again. So the average is kept, whatever answers
turn out to cost. Buckets are this process's own, on a monotonic clock.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from llmops_sidecars.contract import TenantLimits
from llmops_sidecars.guard.access.caller import Caller
from llmops_sidecars.openai.errors import rate_limit_exceeded

MINUTE = 60.0

MOST_TENANTS = 10_000
"""Whose buckets are kept; those that were used longest ago are full again and need not be."""

BYTES_PER_TOKEN = 4
"""Of a request's body, for the estimate: as text in Latin letters has it."""


class Bucket:
    """A limit by the minute; all times are of one monotonic clock."""

    def __init__(self, per_minute: int, now: float) -> None:
        """Start full."""
        self.per_minute = per_minute
        self._level, self._at = float(per_minute), now

    def level(self, now: float) -> float:
        """What is there; less than nothing when more was taken."""
        filled = self._level + (now - self._at) * self.per_minute / MINUTE
        return min(filled, float(self.per_minute))

    def wait(self, amount: float, now: float) -> float:
        """Seconds until so much is there; what is more than the bucket holds needs a full one."""
        missing = min(amount, self.per_minute) - self.level(now)
        return max(missing, 0.0) * MINUTE / self.per_minute

    def take(self, amount: float, now: float) -> None:
        """Take so much, whether it is there or not; a negative amount gives back."""
        self._level, self._at = min(self.level(now) - amount, float(self.per_minute)), now

    def headers(self, kind: str, now: float) -> dict[str, str]:
        """What OpenAI's API says of a limit."""
        left = max(self.level(now), 0.0)
        return {
            f"x-ratelimit-limit-{kind}": str(self.per_minute),
            f"x-ratelimit-remaining-{kind}": str(int(left)),
            f"x-ratelimit-reset-{kind}": duration(self.wait(self.per_minute, now)),
        }


@dataclass
class _Buckets:
    limits: TenantLimits
    requests: Bucket | None
    tokens: Bucket | None


class Quota:
    """What one request takes of its tenant's limits."""

    def __init__(self, buckets: _Buckets, clock: Callable[[], float]) -> None:
        self._requests, self._tokens, self._clock = buckets.requests, buckets.tokens, clock
        self._charged = 0.0

    def take(self) -> None:
        """Take a request; raises ApiError (429), with the time until there is one and no debt of tokens."""
        now = self._clock()
        if self._tokens is not None:
            _require(self._tokens, "tokens", 1, now)
        if self._requests is not None:
            _require(self._requests, "requests", 1, now)
            self._requests.take(1, now)

    def charge(self, body_bytes: int) -> None:
        """Take the tokens that a prompt is estimated to have; raises ApiError (429) when they are not there."""
        if self._tokens is not None:
            estimated, now = math.ceil(body_bytes / BYTES_PER_TOKEN), self._clock()
            _require(self._tokens, "tokens", estimated, now)
            self._tokens.take(estimated, now)
            self._charged = estimated

    def settle(self, tokens: int, *, least: int = 0) -> None:
        """Take what the request has cost after all: `tokens`, or, when nobody has counted them, the estimate.

        `least` is what is known to have been generated: without any of both nothing was, and the estimate goes back.
        """
        if self._tokens is not None:
            cost = tokens or (self._charged + least if least else 0)
            self._tokens.take(cost - self._charged, self._clock())
            self._charged = cost

    def headers(self) -> dict[str, str]:
        """What is left, for the answer; nothing where there is no limit."""
        now = self._clock()
        requests = {} if self._requests is None else self._requests.headers("requests", now)
        return requests if self._tokens is None else requests | self._tokens.headers("tokens", now)


class Quotas:
    """The buckets of all tenants."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, _Buckets] = OrderedDict()

    def of(self, caller: Caller) -> Quota:
        """The quota of one request of a caller; nothing is taken yet."""
        return Quota(self._of(caller), self._clock)

    def _of(self, caller: Caller) -> _Buckets:
        """The tenant's buckets: full ones when its limits have changed."""
        if caller.limits.requests_per_minute is None and caller.limits.tokens_per_minute is None:
            return _Buckets(caller.limits, None, None)
        found = self._buckets.get(caller.tenant)
        if found is None or found.limits != caller.limits:
            found = self._buckets[caller.tenant] = self._made(caller.limits)
        self._buckets.move_to_end(caller.tenant)
        while len(self._buckets) > MOST_TENANTS:
            self._buckets.popitem(last=False)
        return found

    def _made(self, limits: TenantLimits) -> _Buckets:
        now = self._clock()
        requests, tokens = limits.requests_per_minute, limits.tokens_per_minute
        return _Buckets(
            limits,
            None if requests is None else Bucket(requests, now),
            None if tokens is None else Bucket(tokens, now),
        )


def duration(seconds: float) -> str:
    """A time as OpenAI's headers have it, such as 12ms, 8.64s or 6m0s; rounded up, so that it is never too early."""
    milliseconds = math.ceil(seconds * 1000 - 1e-6)
    if milliseconds < 1000:  # noqa: PLR2004 - of a second
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes}m{rest / 1000:g}s" if minutes else f"{rest / 1000:g}s"


def _require(bucket: Bucket, kind: str, amount: float, now: float) -> None:
    wait = bucket.wait(amount, now)
    if wait > 0:
        raise rate_limit_exceeded(kind, bucket.per_minute, math.ceil(wait))
