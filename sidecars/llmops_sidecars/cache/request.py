"""A request in the internal form, and what the cache may do for it."""

from __future__ import annotations

import math
import uuid

import msgspec
from msgspec import Struct

from llmops_sidecars.cache.key import Scope, key_of, may_remember, read_fields
from llmops_sidecars.contract import CacheSettings, Contract, SharedStore
from llmops_sidecars.proxy import asgi

NOT_PASSED_ON = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"keep-alive",
        b"accept-encoding",
        b"cache-control",
    }
)
"""Headers that belong to the connection, or to the cache."""


MOST_DIGITS = 12


class CacheRequest(Struct, frozen=True):
    """A request, `received` when a monotonic clock showed that, and `asked` in Unix seconds.

    `key` is None when the cache has no part in it; `look_up` is False for `no-cache`. `max_age_seconds` is how old an
    answer may be; `only_remembered` that the engine is not to be asked; `shared` is where other pods may have it.
    """

    received: float
    asked: float
    request_id: str
    revision: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    key: str | None
    ttl_seconds: float
    max_age_seconds: float
    look_up: bool
    only_remembered: bool
    shared: SharedStore | None


def read_request(contract: Contract, scope: asgi.Scope, body: bytes, received: float, asked: float) -> CacheRequest:
    """Read the headers and, where its answer may be remembered, the body's key."""
    revision = asgi.header(scope, b"x-llmops-revision") or ""
    directives = read_directives(asgi.header(scope, b"cache-control") or "")
    settings = _settings(contract, revision)
    return CacheRequest(
        received=received,
        asked=asked,
        request_id=asgi.header(scope, b"x-request-id") or uuid.uuid4().hex,
        revision=revision,
        headers=tuple((name, value) for name, value in scope["headers"] if name not in NOT_PASSED_ON),
        body=body,
        key=_key(contract, scope, body) if _is_on(settings) and "no-store" not in directives else None,
        ttl_seconds=settings.ttl_seconds,
        max_age_seconds=min(settings.ttl_seconds, _seconds(directives.get("max-age"))),
        look_up="no-cache" not in directives,
        only_remembered="only-if-cached" in directives,
        shared=settings.shared or None,
    )


def read_directives(header: str) -> dict[str, str]:
    """The directives of a Cache-Control header and their arguments, in small letters; of doubles the first."""
    found: dict[str, str] = {}
    for part in header.lower().split(","):
        name, _, argument = part.strip().partition("=")
        found.setdefault(name.rstrip(), argument.strip().strip('"'))
    return found


def _seconds(argument: str | None) -> float:
    """An age that an answer may have: without the directive any, and none at all for what is no number."""
    if argument is None:
        return math.inf
    return float(argument) if argument.isascii() and argument.isdigit() and len(argument) <= MOST_DIGITS else 0.0


def store_bytes(contract: Contract) -> int:
    """How much may be remembered, in bytes: what the most generous configuration allows, for all together."""
    settings = [configuration.cache for configuration in contract.configurations]
    return max(setting.max_bytes if _is_on(setting) else 0 for setting in settings)


def shared_store(contract: Contract) -> SharedStore | None:
    """The store that is connected to: the first configuration's that has one."""
    stores = (configuration.cache.shared for configuration in contract.configurations)
    return next((store for store in stores if store), None)


def _is_on(settings: CacheSettings) -> bool:
    return settings.ttl_seconds > 0 and settings.max_bytes > 0


def _settings(contract: Contract, revision: str) -> CacheSettings:
    """The settings of a revision; none (off) for one that this contract does not have, or no longer."""
    found = [configuration.cache for configuration in contract.configurations if configuration.revision == revision]
    return found[0] if found else CacheSettings()


def _policy_name(contract: Contract, revision: str) -> str:
    return next((one.policy.name for one in contract.configurations if one.revision == revision), "")


def _key(contract: Contract, scope: asgi.Scope, body: bytes) -> str | None:
    """The key; None without a tenant, for what cannot be read, and for what may not be remembered."""
    tenant, fields = asgi.header(scope, b"x-llmops-tenant"), read_fields(body)
    if not tenant or fields is None or not may_remember(fields):
        return None
    return key_of(
        Scope(
            tenant=tenant,
            revision=asgi.header(scope, b"x-llmops-revision") or "",
            policy=asgi.header(scope, b"x-llmops-policy") or "",
            prompt=asgi.header(scope, b"x-llmops-prompt") or "",
            engine=msgspec.json.encode((contract.model, contract.engine, contract.limits.output_tokens)).decode(),
            policy_name=_policy_name(contract, asgi.header(scope, b"x-llmops-revision") or ""),
        ),
        fields,
    )
