"""The Lease that says which operator acts: reading, taking, renewing and releasing it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from llmops_operator.cluster.client import Client
from llmops_operator.cluster.errors import NotFoundError
from llmops_operator.cluster.kinds import LEASE, Document


@dataclass(frozen=True)
class LeaseRecord:
    """What a Lease says; `version` is the resource version that a change of it must still meet."""

    holder: str
    seconds: int
    transitions: int
    version: str

    def held_by(self, identity: str) -> LeaseRecord:
        """The same lease in the hands of `identity`; a change of hands counts as a transition."""
        changed = identity != self.holder
        return replace(self, holder=identity, transitions=self.transitions + changed)


@dataclass(frozen=True)
class LeaseStore:
    """One Lease object; every change fails with TransientError 409 when somebody else was faster."""

    client: Client
    namespace: str
    name: str

    async def read(self) -> LeaseRecord | None:
        """What the Lease says now, or None when there is none."""
        try:
            return _record(await self.client.get(LEASE, self.namespace, self.name))
        except NotFoundError:
            return None

    async def create(self, holder: str, seconds: int) -> LeaseRecord:
        """Make the Lease, held by `holder`."""
        metadata = {"name": self.name, "namespace": self.namespace}
        spec = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "leaseTransitions": 0, **_times(renew=False)}
        document = {"apiVersion": LEASE.api_version, "kind": LEASE.name, "metadata": metadata, "spec": spec}
        return _record(await self.client.create(document))

    async def write(self, record: LeaseRecord, *, renew: bool) -> LeaseRecord:
        """Replace the Lease of `record.version` by `record`; `renew` leaves the time of acquisition as it is."""
        spec = {
            "holderIdentity": record.holder,
            "leaseDurationSeconds": record.seconds,
            "leaseTransitions": record.transitions,
            **_times(renew=renew),
        }
        change = {"metadata": {"resourceVersion": record.version}, "spec": spec}
        return _record(await self.client.patch(LEASE, self.namespace, self.name, change))


def _times(*, renew: bool) -> dict[str, str]:
    """For people and tools alone: nobody decides by the clocks of others."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"renewTime": now} if renew else {"renewTime": now, "acquireTime": now}


def _record(document: Document) -> LeaseRecord:
    spec: dict[str, Any] = document.get("spec") or {}
    return LeaseRecord(
        holder=spec.get("holderIdentity") or "",
        seconds=int(spec.get("leaseDurationSeconds") or 0),
        transitions=int(spec.get("leaseTransitions") or 0),
        version=document["metadata"]["resourceVersion"],
    )
