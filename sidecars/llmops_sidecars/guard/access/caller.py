"""Who asks, once that is known."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmops_sidecars.contract import TenantLimits
from llmops_sidecars.proxy.fairness import Share

ANONYMOUS = "anonymous"
"""The tenant of everybody while access is open."""


@dataclass(frozen=True)
class Caller:
    """A caller. `partition` says with whom it shares remembered answers; it holds no name, and fits a header."""

    tenant: str
    partition: str
    limits: TenantLimits
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def share(self) -> Share:
        """What it may have of the slots."""
        limits = self.limits
        return Share(self.tenant, limits.weight, limits.concurrent_requests, limits.queued_requests)


def known(tenant: str, limits: TenantLimits, claims: Mapping[str, Any] | None = None) -> Caller:
    """A caller who is known: all callers of a tenant share their answers, and no two tenants do."""
    return Caller(tenant, partition_of(tenant), limits, claims or {})


def partition_of(tenant: str) -> str:
    """With whom the callers of a tenant share remembered answers."""
    return hashlib.sha256(f"tenant {tenant}".encode()).hexdigest()[:32]


def anonymous(credential: str | None, limits: TenantLimits) -> Caller:
    """A caller while access is open. Nobody has looked at its credential, but who sends another one is kept apart."""
    partition = hashlib.sha256(credential.encode()).hexdigest()[:16] if credential else ANONYMOUS
    return Caller(ANONYMOUS, partition, limits)
