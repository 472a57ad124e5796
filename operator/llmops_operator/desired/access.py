"""What access makes of a pod and of its sidecars' configuration.

Keys and certificates are mounted into the guard alone, and a Secret that does not exist is an empty directory: the
guard starts, is not ready, and says what is missing. The operator reads no Secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llmops_operator.api.access import Access, Jwt, TenantLimits
from llmops_operator.api.units import to_seconds
from llmops_operator.desired import paths
from llmops_operator.desired.facts import Facts
from llmops_sidecars import contract

Document = dict[str, Any]


@dataclass(frozen=True)
class _Mounted:
    """A Secret in the guard: as which volume, where, and which of its data keys; all of them without any."""

    volume: str
    secret: str
    directory: str
    keys: tuple[str, ...] = ()


def volumes(facts: Facts) -> list[Document]:
    """The Secrets that access names."""
    return [{"name": one.volume, "secret": _source(one)} for one in _mounted(facts.access)]


def mounts(facts: Facts) -> list[Document]:
    """Their directories, for the guard."""
    return [{"name": one.volume, "mountPath": one.directory, "readOnly": True} for one in _mounted(facts.access)]


def flags(facts: Facts) -> list[str]:
    """What the guard is started with."""
    tls = facts.access.tls
    if tls is None:
        return []
    clients = [f"--client-ca={paths.CLIENT_CA_DIRECTORY}"] if tls.client_ca_secret_name else []
    return [f"--tls={paths.TLS_DIRECTORY}", *clients]


def pod_part(access: Access) -> Document:
    """What of access makes a pod: another Secret or another flag needs new ones. Empty without any of them."""
    return {one.volume: one.secret for one in _mounted(access)}


def settings(access: Access) -> contract.Access:
    """What the guard has to know."""
    tenant = access.tls.client_tenant if access.tls else None
    return contract.Access(
        api_keys=contract.ApiKeys(paths.API_KEYS_DIRECTORY) if access.api_keys else None,
        jwt=_jwt(access.jwt) if access.jwt else None,
        certificate_tenant=None if tenant is None else contract.CertificateField(tenant),
        tenants=tuple(contract.Tenant(one.name, _limits(one)) for one in access.tenants),
        default_limits=_limits(access.default),
    )


def _mounted(access: Access) -> Iterator[_Mounted]:
    if access.api_keys is not None:
        yield _Mounted("api-keys", access.api_keys.secret_name, paths.API_KEYS_DIRECTORY)
    if access.jwt is not None and access.jwt.ca_secret_name is not None:
        yield _Mounted("issuer-ca", access.jwt.ca_secret_name, paths.ISSUER_CA_DIRECTORY, (paths.CA_KEY,))
    if access.tls is not None:
        yield _Mounted("tls", access.tls.secret_name, paths.TLS_DIRECTORY, ("tls.crt", "tls.key"))
        if access.tls.client_ca_secret_name is not None:
            yield _Mounted("client-ca", access.tls.client_ca_secret_name, paths.CLIENT_CA_DIRECTORY, (paths.CA_KEY,))


def _source(one: _Mounted) -> Document:
    items = {"items": [{"key": key, "path": key} for key in one.keys]} if one.keys else {}
    return {"secretName": one.secret, **items, "defaultMode": paths.OWNER_AND_GROUP, "optional": True}


def _jwt(jwt: Jwt) -> contract.Jwt:
    return contract.Jwt(
        issuer=jwt.issuer,
        audiences=tuple(jwt.audiences),
        jwks_url=jwt.jwks_url,
        ca_file=f"{paths.ISSUER_CA_DIRECTORY}/{paths.CA_KEY}" if jwt.ca_secret_name else None,
        tenant_claim=jwt.tenant_claim,
        required_claims=tuple(contract.RequiredClaim(one.name, tuple(one.values)) for one in jwt.required_claims),
        required_scopes=tuple(jwt.required_scopes),
        key_max_age_seconds=to_seconds(jwt.key_max_age),
    )


def _limits(limits: TenantLimits) -> contract.TenantLimits:
    return contract.TenantLimits(
        requests_per_minute=limits.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
        concurrent_requests=limits.concurrent_requests,
        queued_requests=limits.queued_requests,
        weight=limits.weight,
    )
