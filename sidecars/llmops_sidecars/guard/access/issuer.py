"""The keys of an issuer: fetched beside the requests, kept while they are not too old.

An issuer that cannot be reached costs nothing until its last good keys have reached their greatest age; from then on
no token can be checked, and all are refused with 503.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from llmops_sidecars.contract import Jwt
from llmops_sidecars.guard.access import tokens
from llmops_sidecars.guard.access.fetching import fetch_key_set
from llmops_sidecars.guard.access.tokens import Head, KeySet, SigningKey
from llmops_sidecars.openai.errors import access_unavailable, invalid_token
from llmops_sidecars.proxy.watched import UnusableError

REFRESH_SECONDS = 300.0
"""Between two looks at the issuer's keys: so long a key that it withdrew is accepted."""

RETRY_SECONDS = 5.0
"""Until the next look after one that failed."""

UNKNOWN_SECONDS = 10.0
"""At most once in so long a token that names an unknown key makes the guard look."""

PATIENCE_SECONDS = 3.0
"""How long such a token waits for the look that it caused."""

MOST_SEEN = 10_000
"""Tokens whose claims are kept, by their digests."""

_log = logging.getLogger(__name__)


class Issuer:
    """One issuer; `due` says when to call `look`."""

    def __init__(
        self,
        settings: Jwt,
        *,
        fetch: Callable[[Jwt], Awaitable[KeySet]] = fetch_key_set,
        clock: Callable[[], float] = time.monotonic,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Start without keys."""
        self._patience_seconds = patience_seconds
        self.settings = settings
        self._fetch, self._clock = fetch, clock
        self._keys: KeySet | None = None
        self._seen: OrderedDict[bytes, dict[str, Any]] = OrderedDict()
        self._fetched = self._looked = self._next = clock() - UNKNOWN_SECONDS
        self._looking: asyncio.Task[None] | None = None
        self.error: str | None = None
        """Why the last look failed; None when it did not."""

    @property
    def due(self) -> bool:
        """Whether it is time to look."""
        return self._looking is None and self._clock() >= self._next

    @property
    def age(self) -> float | None:
        """Seconds since the keys were fetched; None without any."""
        return None if self._keys is None else self._clock() - self._fetched

    @property
    def usable(self) -> bool:
        """Whether there are keys that are not too old."""
        age = self.age
        return age is not None and age <= self.settings.key_max_age_seconds

    async def authenticate(self, token: str) -> tuple[str, dict[str, Any]]:
        """The tenant of a token and its claims; raises ApiError: 401, 403, or 503 when the token cannot be checked."""
        digest = hashlib.sha256(token.encode("latin-1", "replace")).digest()
        claims = self._seen.get(digest)
        if claims is None or not self.usable or int(claims["exp"]) + tokens.LEEWAY_SECONDS <= time.time():
            head = tokens.head_of(token)
            claims = tokens.claims_of(token, head, await self.find(head), self.settings)
            self._remember(digest, claims)
        return tokens.tenant_of(claims, self.settings), claims

    async def find(self, head: Head) -> SigningKey:
        """The key of a token; raises ApiError: 401 when the issuer does not have it, 503 when that is unknown."""
        if not self.usable or self._keys is None:
            raise access_unavailable()
        signer = self._keys.find(head)
        if signer is None and await self._looked_again():
            signer = self._keys.find(head)
        if signer is not None:
            return signer
        if self.error is not None:
            raise access_unavailable()
        raise invalid_token("is signed with a key that its issuer does not have")

    def look(self) -> asyncio.Task[None]:
        """Begin to look at the issuer's keys, or go on with the look that is under way; the task never raises."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="issuer's keys")
        return self._looking

    def _remember(self, digest: bytes, claims: dict[str, Any]) -> None:
        """A token that was genuine is so until it ends, or the keys change: its signature is checked once."""
        self._seen[digest] = claims
        while len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)

    async def _looked_again(self) -> bool:
        """Whether there has been another look for a token that names an unknown key."""
        if self._looking is None and self._clock() - self._looked < UNKNOWN_SECONDS:
            return False
        try:
            await asyncio.wait_for(asyncio.shield(self.look()), self._patience_seconds)
        except TimeoutError:
            return False
        return True

    async def _look(self) -> None:
        self._looked = self._clock()
        try:
            self._keys = await self._fetch(self.settings)
            self._seen.clear()
            self._fetched, self._next, self.error = self._clock(), self._clock() + REFRESH_SECONDS, None
        except UnusableError as error:
            self._failed(str(error))
        except Exception as error:  # noqa: BLE001 - the last good keys serve on, and the next look may work
            _log.exception("the issuer's keys cannot be fetched")
            self._failed(f"internal error: {type(error).__name__}")
        finally:
            self._looking = None

    def _failed(self, reason: str) -> None:
        """Look again soon; said once per reason."""
        if reason != self.error:
            _log.error("the issuer's keys cannot be fetched", extra={"reason": reason, "age": self.age})
        self.error, self._next = reason, self._clock() + RETRY_SECONDS
