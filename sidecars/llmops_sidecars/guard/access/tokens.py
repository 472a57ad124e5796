"""Access tokens (RFC 7519): signed by a known key, from the issuer, for this service, now. Nothing here waits.

Which algorithm is used is the key's business (RFC 8725): a token may only name one that its key is for. What a token
says about where keys are (`jku`, `x5u`, `jwk`) is never read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from llmops_sidecars.contract import Jwt, RequiredClaim
from llmops_sidecars.openai.errors import invalid_token, permission_denied
from llmops_sidecars.proxy.watched import UnusableError

ALGORITHMS = frozenset({"RS256", "PS256", "ES256", "EdDSA"})
"""What a token may be signed with: never nothing, and never a secret that the guard would have to share."""

LEEWAY_SECONDS = 30
"""How far the clocks of issuer and guard may be apart."""

MOST_CHARACTERS = 8192
"""Of a token."""

MOST_KEYS = 64
"""Of an issuer; with more, something is wrong with it."""

LONGEST_TENANT = 256

RSA_BITS = range(2048, 8193)
"""Of an RSA key: below it can be broken, above it costs too much time."""

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

REASONS: Mapping[type[jwt.InvalidTokenError], str] = {
    jwt.ExpiredSignatureError: "has expired",
    jwt.ImmatureSignatureError: "is not valid yet",
    jwt.InvalidAudienceError: "is for another service",
    jwt.InvalidIssuerError: "is from another issuer",
    jwt.InvalidSignatureError: "has a signature that is wrong",
}


@dataclass(frozen=True)
class SigningKey:
    """One key of the issuer, and the algorithms that it is for."""

    id: str | None
    algorithms: frozenset[str]
    key: PublicKey


@dataclass(frozen=True)
class Head:
    """What a token says of its signature."""

    key_id: str | None
    algorithm: str


@dataclass(frozen=True)
class KeySet:
    """The keys of an issuer."""

    keys: tuple[SigningKey, ...]

    def find(self, head: Head) -> SigningKey | None:
        """The key for a token: the one that it names, or, when it names none, the only one for its algorithm."""
        fitting = [one for one in self.keys if head.algorithm in one.algorithms]
        if head.key_id is not None:
            return next((one for one in fitting if one.id == head.key_id), None)
        return fitting[0] if len(fitting) == 1 else None


def key_set(document: bytes) -> KeySet:
    """The usable keys of a JWK Set (RFC 7517); raises UnusableError when it has none.

    Left out are keys that are not for signatures, and those of other kinds: symmetric ones above all.
    """
    try:
        found = msgspec.json.decode(document, type=dict[str, Any]).get("keys")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableError("the key set is not a JSON object") from error
    if not isinstance(found, list) or len(found) > MOST_KEYS:
        raise UnusableError(f"the key set has no list of up to {MOST_KEYS} keys")
    keys = tuple(key for one in found if isinstance(one, dict) and (key := _signing_key(one)) is not None)
    if not keys:
        raise UnusableError("the key set has no key for RS256, PS256, ES256 or EdDSA")
    return KeySet(keys)


def head_of(token: str) -> Head:
    """What a token says of its signature; raises ApiError (401) for what is no token."""
    if len(token) > MOST_CHARACTERS:
        raise invalid_token(f"is longer than {MOST_CHARACTERS} characters")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, RecursionError) as error:
        raise invalid_token("cannot be read") from error
    algorithm, key_id = header.get("alg"), header.get("kid")
    if "crit" in header:
        raise invalid_token("has a header that is not understood")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise invalid_token("is signed in a way that is not accepted")
    return Head(key_id, algorithm)


def claims_of(token: str, head: Head, signer: SigningKey, settings: Jwt) -> dict[str, Any]:
    """The claims of a token that is genuine and valid now; raises ApiError (401) for any other."""
    try:
        return jwt.decode(
            token,
            signer.key,
            algorithms=sorted(signer.algorithms & {head.algorithm}),
            audience=settings.audiences,
            issuer=settings.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
        )
    except jwt.InvalidTokenError as error:
        raise invalid_token(REASONS.get(type(error), "is not valid")) from error
    except (RecursionError, OverflowError) as error:
        raise invalid_token("is not valid") from error


def tenant_of(claims: Mapping[str, Any], settings: Jwt) -> str:
    """The tenant that a token's claims name; raises ApiError: 401 when they name none, 403 when others are missing."""
    tenant = claims.get(settings.tenant_claim)
    if not (isinstance(tenant, str) and tenant.isprintable() and 0 < len(tenant) <= LONGEST_TENANT):
        raise invalid_token(f"has no usable claim {settings.tenant_claim!r}")
    for required in settings.required_claims:
        if not _has(claims, required):
            raise permission_denied(f"claim {required.name!r}")
    scopes = _scopes(claims)
    for scope in settings.required_scopes:
        if scope not in scopes:
            raise permission_denied(f"scope {scope!r}")
    return tenant


def _signing_key(jwk: dict[str, Any]) -> SigningKey | None:
    for_signatures = jwk.get("use") in (None, "sig") and "verify" in jwk.get("key_ops", ["verify"])
    key = _public_key(jwk) if for_signatures else None
    if key is None:
        return None
    algorithms = _algorithms(key)
    named = jwk.get("alg")
    usable = algorithms if named is None else algorithms & {named}
    key_id = jwk.get("kid")
    return SigningKey(key_id if isinstance(key_id, str) else None, usable, key) if usable else None


def _public_key(jwk: dict[str, Any]) -> PublicKey | None:
    makers: dict[Any, Any] = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}
    maker = makers.get(jwk.get("kty"))
    public = {name: value for name, value in jwk.items() if name in {"kty", "crv", "n", "e", "x", "y"}}
    try:
        key = maker.from_jwk(public) if maker else None
    except (jwt.InvalidKeyError, ValueError, TypeError):
        return None
    return key if isinstance(key, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey) else None


def _algorithms(key: PublicKey) -> frozenset[str]:
    match key:
        case RSAPublicKey():
            return frozenset({"RS256", "PS256"} if key.key_size in RSA_BITS else ())
        case EllipticCurvePublicKey():
            return frozenset({"ES256"} if key.curve.name == "secp256r1" else ())
        case _:
            return frozenset({"EdDSA"})


def _has(claims: Mapping[str, Any], required: RequiredClaim) -> bool:
    found = claims.get(required.name)
    values = found if isinstance(found, list) else [found]
    return any(isinstance(value, str) and value in required.values for value in values)


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """Scopes as RFC 8693 has them (a text with spaces), and as lists (`scp`) of other issuers."""
    found = claims.get("scope", claims.get("scp", ""))
    scopes = found.split() if isinstance(found, str) else found
    return frozenset(one for one in scopes if isinstance(one, str)) if isinstance(scopes, list) else frozenset()
