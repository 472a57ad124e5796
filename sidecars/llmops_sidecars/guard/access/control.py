"""Access: who a request is from, by the ways that the contract gives. Without any of them everybody may ask.

A credential that is sent decides, and must be valid: there is no other way in behind a wrong key. A request without one
is its client certificate's tenant, where certificates name tenants; where they alone do, credentials are not looked at.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmops_sidecars import contract
from llmops_sidecars.guard.access.caller import ANONYMOUS, Caller, anonymous, known
from llmops_sidecars.guard.access.certificates import tenant_of
from llmops_sidecars.guard.access.keys import KeyFiles
from llmops_sidecars.openai.errors import invalid_api_key, missing_api_key
from llmops_sidecars.proxy.asgi import Scope, header
from llmops_sidecars.proxy.tls import Tls, client_certificate

if TYPE_CHECKING:
    from llmops_sidecars.guard.access.issuer import Issuer

BEARER = "bearer "
KEY_HEADERS = (b"api-key", b"x-api-key")
"""Where clients that do not say `Authorization: Bearer` put their key; a key stands there alone."""

MOST_LABELS = 200
"""Tenants with a key that metrics tell apart; of more, only those with limits of their own."""

OTHERS = "others"

POLL_SECONDS = 1.0
"""Between two looks at keys and certificates."""


@dataclass(frozen=True)
class Problem:
    """A part of access that is not as it should be: `part` as in the resource, `reason` for who can mend it."""

    part: str
    reason: str


class Access:
    """The access of one guard; `use` has to be called with each contract, `run` has to run beside."""

    def __init__(self, tls: Tls | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.tls = tls
        self._clock = clock
        self._settings = contract.Access()
        self._limits: dict[str, contract.TenantLimits] = {}
        self.keys: KeyFiles | None = None
        self.issuer: Issuer | None = None
        self._had_keys = False

    def use(self, settings: contract.Access) -> None:
        """Follow these settings from now on. What they have in common with the former ones stays as it is."""
        directory = settings.api_keys and Path(settings.api_keys.directory)
        if directory is None or self.keys is None or self.keys.directory != directory:
            self.keys, self._had_keys = (KeyFiles(directory) if directory else None), False
        if settings.jwt is None or self.issuer is None or self.issuer.settings != settings.jwt:
            self.issuer = self._new_issuer(settings.jwt) if settings.jwt else None
        self._settings = settings
        self._limits = {tenant.name: tenant.limits for tenant in settings.tenants}
        self.check()

    async def authenticate(self, scope: Scope) -> Caller:
        """Who asks; raises ApiError: 401 for who is not known, 403 for who may not, 503 when that cannot be told."""
        if self._settings.is_open:
            sent = (header(scope, name) for name in (b"authorization", *KEY_HEADERS))
            return anonymous(next(filter(None, sent), None), self.limits_of(ANONYMOUS))
        credential = _credential(scope)
        if self.keys is None and self.issuer is None:
            credential = None
        tenant, claims = await self._by_credential(credential) if credential else self._by_certificate(scope)
        return known(tenant, self.limits_of(tenant), claims)

    def limits_of(self, tenant: str) -> contract.TenantLimits:
        """A tenant's limits: its own, or those of all that have none."""
        return self._limits.get(tenant, self._settings.default_limits)

    def label(self, caller: Caller) -> str:
        """A caller's tenant in metrics: by name when it has a key or limits of its own; tokens name any number more."""
        if self._settings.is_open:
            return ""
        few = self.keys is not None and len(self.keys.tenants) <= MOST_LABELS
        named = caller.tenant in self._limits or (few and self.keys is not None and caller.tenant in self.keys.tenants)
        return caller.tenant if named else OTHERS

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is not as it should be."""
        found = []
        if self.keys is not None and (reason := self.keys.problem) is not None:
            found.append(Problem("apiKeys", reason))
        if self.issuer is not None and (reason := self.issuer.error) is not None:
            found.append(Problem("jwt", reason))
        if self.tls is not None and (reason := self.tls.problem) is not None:
            found.append(Problem("tls", reason))
        return tuple(found)

    @property
    def blocked(self) -> str | None:
        """Why this guard is not to be reached yet: its files are missing, or nobody at all can be known."""
        if self.tls is not None and self.tls.current is None:
            return f"TLS: {self.tls.problem}"
        if self.keys is not None and not self._had_keys:
            return f"API keys: {self.keys.problem}"
        only = self.keys is None and self._settings.certificate_tenant is None
        if self.issuer is not None and only and self.issuer.age is None:
            return f"access tokens: {self.issuer.error or 'the keys of the issuer have not been fetched yet'}"
        return None

    def check(self) -> None:
        """Look at the files once."""
        if self.tls is not None:
            self.tls.check()
        if self.keys is not None:
            self.keys.check()
            self._had_keys = self._had_keys or bool(self.keys.tenants)

    async def run(self) -> None:
        """Look at the files, and at the issuer's keys when it is time, for ever."""
        while True:
            self.check()
            issuer = self.issuer
            if issuer is not None and issuer.due:
                issuer.look()
            await asyncio.sleep(POLL_SECONDS)

    async def _by_credential(self, credential: str) -> tuple[str, dict[str, Any]]:
        keys = self.keys.current if self.keys is not None else None
        tenant = keys.tenant(credential) if keys is not None else None
        if tenant is not None:
            return tenant, {}
        if self.issuer is None or (self.keys is not None and not _may_be_token(credential)):
            raise invalid_api_key()
        return await self.issuer.authenticate(credential)

    def _by_certificate(self, scope: Scope) -> tuple[str, dict[str, Any]]:
        field, certificate = self._settings.certificate_tenant, client_certificate(scope)
        tenant = tenant_of(certificate, field) if field is not None and certificate is not None else None
        if tenant is None:
            raise missing_api_key()
        return tenant, {}

    def _new_issuer(self, settings: contract.Jwt) -> Issuer:
        """Cryptography is loaded by guards that need it: it takes ten megabytes."""
        from llmops_sidecars.guard.access.issuer import Issuer

        return Issuer(settings, clock=self._clock)


def _credential(scope: Scope) -> str | None:
    """The key or token of a request, without spaces around it; None when there is none."""
    authorization = header(scope, b"authorization") or ""
    if authorization[: len(BEARER)].lower() == BEARER:
        return authorization[len(BEARER) :].strip() or None
    found = (header(scope, name) for name in KEY_HEADERS)
    return next((value.strip() for value in found if value and value.strip()), None)


def _may_be_token(credential: str) -> bool:
    return credential.count(".") == 2  # noqa: PLR2004 - head, claims, signature
