"""A request in the internal form, and what the cache may do for it."""

from __future__ import annotations

import uuid

import msgspec
from msgspec import Struct

from llmops_sidecars.cache.key import Scope, digest, may_remember, read_fields
from llmops_sidecars.contract import CacheSettings, Contract
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


class CacheRequest(Struct, frozen=True):
    """A request, `received` when a monotonic clock showed that.

    `key` is None when the cache has no part in it; `look_up` is False for `no-cache`.
    """

    received: float
    request_id: str
    revision: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    key: str | None
    ttl_seconds: float
    look_up: bool


def read_request(contract: Contract, scope: asgi.Scope, body: bytes, received: float) -> CacheRequest:
    """Read the headers and, where its answer may be remembered, the body's key."""
    revision = asgi.header(scope, b"x-llmops-revision") or ""
    directives = {part.strip().lower() for part in (asgi.header(scope, b"cache-control") or "").split(",")}
    settings = _settings(contract, revision)
    return CacheRequest(
        received=received,
        request_id=asgi.header(scope, b"x-request-id") or uuid.uuid4().hex,
        revision=revision,
        headers=tuple((name, value) for name, value in scope["headers"] if name not in NOT_PASSED_ON),
        body=body,
        key=_key(contract, scope, body) if _is_on(settings) and "no-store" not in directives else None,
        ttl_seconds=settings.ttl_seconds,
        look_up="no-cache" not in directives,
    )


def store_bytes(contract: Contract) -> int:
    """How much may be remembered, in bytes: what the most generous configuration allows, for all together."""
    settings = [configuration.cache for configuration in contract.configurations]
    return max(setting.max_bytes if _is_on(setting) else 0 for setting in settings)


def _is_on(settings: CacheSettings) -> bool:
    return settings.ttl_seconds > 0 and settings.max_bytes > 0


def _settings(contract: Contract, revision: str) -> CacheSettings:
    """The settings of a revision; none (off) for one that this contract does not have, or no longer."""
    found = [configuration.cache for configuration in contract.configurations if configuration.revision == revision]
    return found[0] if found else CacheSettings()


def _key(contract: Contract, scope: asgi.Scope, body: bytes) -> str | None:
    """The key; None without a tenant, for what cannot be read, and for what may not be remembered."""
    tenant, fields = asgi.header(scope, b"x-llmops-tenant"), read_fields(body)
    if not tenant or fields is None or not may_remember(fields):
        return None
    return digest(
        Scope(
            tenant=tenant,
            revision=asgi.header(scope, b"x-llmops-revision") or "",
            policy=asgi.header(scope, b"x-llmops-policy") or "",
            prompt=asgi.header(scope, b"x-llmops-prompt") or "",
            engine=msgspec.json.encode((contract.model, contract.engine, contract.limits.output_tokens)).decode(),
        ),
        fields,
    )
