"""`access` of an `LLMDeployment`: who may ask, and how much."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StrictInt, model_validator

from llmops_operator.api.common import Duration, Model, ObjectName, chosen
from llmops_operator.api.rules import Unique, rules, seconds_between

HttpsUrl = Annotated[str, Field(max_length=1024, pattern=r"^https://[^\s/?#@]+(/[^\s?#]*)?$")]
Text = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[!-~]+( [!-~]+)*$")]
"""Visible characters with single spaces between them."""

Word = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[!-~]+$")]
PerMinute = Annotated[StrictInt, Field(ge=1, le=1_000_000_000)]
Count = Annotated[StrictInt, Field(ge=1, le=100_000)]

TENANT_NEEDS_AUTHORITY = "clientTenant needs clientCASecretName: no other client shows a certificate"
WAYS = "(has(self.apiKeys) || has(self.jwt) || (has(self.tls) && has(self.tls.clientTenant)))"
TENANTS_NEED_A_WAY = "tenants are told apart by apiKeys, jwt or tls.clientTenant: give one of them"
CLIENTS_NEED_A_WAY = "tls.clientCASecretName says who may connect, not who asks: add tls.clientTenant, apiKeys or jwt"


class ApiKeys(Model):
    """API keys from a Secret: each of its data keys is a tenant, and each line of the value one of its API keys."""

    secret_name: ObjectName = Field(description="The Secret, in the same namespace; a change is used within seconds.")


class RequiredClaim(Model):
    """A claim that an access token must have."""

    name: Word = Field(description="The claim.")
    values: Annotated[list[Text], Field(min_length=1, max_length=32)] = Field(
        description="The claim must be one of these, or a list that has one of them."
    )


class Jwt(Model):
    """Access tokens (JWT) of an issuer, signed with RS256, PS256, ES256 or EdDSA."""

    issuer: HttpsUrl = Field(description="The tokens' `iss`, to the letter.")
    audiences: Annotated[list[Text], Field(min_length=1, max_length=16)] = Field(
        description="The tokens' `aud` must be or hold one of these."
    )
    jwks_url: HttpsUrl | None = Field(
        default=None, description="The issuer's key set; found through its OpenID configuration when left out."
    )
    ca_secret_name: ObjectName | None = Field(
        default=None,
        alias="caSecretName",
        description="A Secret whose ca.crt vouches for that host; the system's authorities when left out.",
    )
    tenant_claim: Word = Field(default="sub", description="The claim that names the tenant.")
    required_claims: Annotated[list[RequiredClaim], Field(max_length=16), Unique("name")] = Field(
        default_factory=list, description="Claims without which a token is refused with 403."
    )
    required_scopes: Annotated[list[Word], Field(max_length=16), Unique()] = Field(
        default_factory=list, description="Scopes without which a token is refused with 403."
    )
    key_max_age: Annotated[Duration, seconds_between("5m", "168h")] = Field(
        default="1h",
        description="How long the last keys are used while the issuer cannot be reached; 5m to 168h.",
    )


class ClientTenant(StrEnum):
    """Which name of a client's certificate is the tenant's."""

    COMMON_NAME = "CommonName"
    DNS_NAME = "DNSName"
    URI = "URI"
    EMAIL = "Email"


class Tls(Model):
    """TLS for clients, 1.2 or newer, on port 443 of the Service."""

    model_config = rules(("!has(self.clientTenant) || has(self.clientCASecretName)", TENANT_NEEDS_AUTHORITY))

    secret_name: ObjectName = Field(
        description="A Secret of type kubernetes.io/tls; a new certificate is used within minutes, no connection ends."
    )
    client_ca_secret_name: ObjectName | None = Field(
        default=None,
        alias="clientCASecretName",
        description="A Secret whose ca.crt signs the certificates that clients must show; none are asked for without.",
    )
    client_tenant: ClientTenant | None = Field(
        default=None,
        description="Which name of its certificate is the tenant of a client that sends no key or token.",
    )

    @model_validator(mode="after")
    def _tenant_needs_authority(self) -> Self:
        if self.client_tenant is not None and self.client_ca_secret_name is None:
            raise ValueError(TENANT_NEEDS_AUTHORITY)
        return self


class TenantLimits(Model):
    """What one tenant may have of one pod; what is left out has no limit."""

    requests_per_minute: PerMinute | None = Field(default=None, description="Requests; more get a 429.")
    tokens_per_minute: PerMinute | None = Field(
        default=None, description="Tokens of prompts and answers; a prompt is estimated first, and counted at the end."
    )
    concurrent_requests: Count | None = Field(default=None, description="Requests that run at once; more wait.")
    queued_requests: Annotated[StrictInt, Field(ge=0, le=100_000)] | None = Field(
        default=None, description="Requests that wait; more get a 429."
    )
    weight: StrictInt = Field(
        default=1, ge=1, le=1000, description="Its share of the slots against other tenants, when there are too few."
    )


class Tenant(TenantLimits):
    """The limits of one tenant."""

    name: Text = Field(description="The tenant: a data key of the Secret, a token's claim, a certificate's name.")


class Access(Model):
    """Who may ask, and how much. Without apiKeys, jwt and tls.clientTenant everybody may."""

    model_config = rules(
        (f"!has(self.tenants) || self.tenants.size() == 0 || {WAYS}", TENANTS_NEED_A_WAY),
        (f"!has(self.tls) || !has(self.tls.clientCASecretName) || {WAYS}", CLIENTS_NEED_A_WAY),
    )

    api_keys: ApiKeys | None = Field(default=None, description="API keys from a Secret.")
    jwt: Jwt | None = Field(default=None, description="Access tokens of an issuer.")
    tls: Tls | None = Field(default=None, description="TLS for clients; plain HTTP when left out.")
    tenants: Annotated[list[Tenant], Field(max_length=256), Unique("name")] = Field(
        default_factory=list, description="Tenants with limits of their own."
    )
    default: TenantLimits = Field(
        default_factory=TenantLimits, description="The limits of each tenant that is not among tenants."
    )

    @property
    def is_open(self) -> bool:
        """Whether everybody may ask."""
        by_certificate = self.tls is not None and self.tls.client_tenant is not None
        return not (chosen(self, "api_keys", "jwt") or by_certificate)

    @model_validator(mode="after")
    def _tenants_can_be_told_apart(self) -> Self:
        if self.is_open and self.tenants:
            raise ValueError(TENANTS_NEED_A_WAY)
        if self.is_open and self.tls is not None and self.tls.client_ca_secret_name is not None:
            raise ValueError(CLIENTS_NEED_A_WAY)
        return self
