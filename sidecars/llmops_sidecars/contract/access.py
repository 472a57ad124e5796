"""Who may ask, and how much, as data. Keys and certificates are never in it: they are files that it names."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=1)]


class TenantLimits(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one tenant may have of one pod; no limit where there is none. `weight`: its share of what all want."""

    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrent_requests: Count | None = None
    queued_requests: Annotated[int, Meta(ge=0)] | None = None
    weight: Annotated[int, Meta(ge=1, le=1000)] = 1


class Tenant(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A tenant that has limits of its own."""

    name: Annotated[str, Meta(min_length=1)]
    limits: TenantLimits


class ApiKeys(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A directory with a file for each tenant: its name is the tenant's, its lines are the tenant's keys."""

    directory: str


class RequiredClaim(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A claim that a token must have with one of these values, alone or in a list."""

    name: Annotated[str, Meta(min_length=1)]
    values: Annotated[tuple[str, ...], Meta(min_length=1)]


class Jwt(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Access tokens of an issuer.

    `jwks_url`: where its keys are; without it, its OpenID configuration is asked. `ca_file`: whom to trust for that
    connection; without it, the system's authorities. `tenant_claim` names the tenant. What lacks a required claim or
    scope is known and refused.
    """

    issuer: Annotated[str, Meta(pattern="^https://")]
    audiences: Annotated[tuple[str, ...], Meta(min_length=1)]
    jwks_url: Annotated[str, Meta(pattern="^https://")] | None = None
    ca_file: str | None = None
    tenant_claim: Annotated[str, Meta(min_length=1)] = "sub"
    required_claims: tuple[RequiredClaim, ...] = ()
    required_scopes: tuple[str, ...] = ()
    key_max_age_seconds: Annotated[float, Meta(gt=0)] = 3600.0


class CertificateField(StrEnum):
    """Which name of a client's certificate is the tenant's."""

    COMMON_NAME = "CommonName"
    DNS_NAME = "DNSName"
    URI = "URI"
    EMAIL = "Email"


class Access(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How callers are known, and what each may have; without any of the ways anybody may ask.

    Of the ways that are given, a caller may use any. `default_limits` are for tenants that `tenants` does not name.
    """

    api_keys: ApiKeys | None = None
    jwt: Jwt | None = None
    certificate_tenant: CertificateField | None = None
    tenants: tuple[Tenant, ...] = ()
    default_limits: TenantLimits = TenantLimits()

    @property
    def is_open(self) -> bool:
        """Whether callers are not known."""
        return self.api_keys is None and self.jwt is None and self.certificate_tenant is None
