from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa

from llmops_sidecars.contract import Jwt, RequiredClaim
from llmops_sidecars.guard.access.tokens import (
    ALGORITHMS,
    MOST_CHARACTERS,
    KeySet,
    claims_of,
    head_of,
    key_set,
    tenant_of,
)
from llmops_sidecars.openai.errors import ApiError
from llmops_sidecars.proxy.watched import UnusableError
from tests.support.issuer import jwk, jwks, private_key, token, unsigned

SETTINGS = Jwt("https://login.example", ("chat", "other-chat"))
KEYS = {algorithm: private_key(algorithm) for algorithm in sorted(ALGORITHMS)}
SET = key_set(jwks(*(jwk(key, name) for name, key in KEYS.items())))


def accepted(text: str, settings: Jwt = SETTINGS, keys: KeySet = SET) -> dict[str, Any]:
    head = head_of(text)
    signer = keys.find(head)
    assert signer is not None
    return claims_of(text, head, signer, settings)


def es256(key_id: str | None = "ES256", **claims: Any) -> str:
    return token(KEYS["ES256"], claims, key_id)


def times(claims: dict[str, Any]) -> dict[str, Any]:
    """Claims whose times are given as seconds from now."""
    now = int(time.time())
    return {name: now + value if isinstance(value, int) else value for name, value in claims.items()}


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_a_genuine_token_is_accepted(algorithm: str) -> None:
    claims = accepted(token(KEYS[algorithm], key_id=algorithm, alg=algorithm))
    assert (claims["sub"], tenant_of(claims, SETTINGS)) == ("team-a", "team-a")


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"exp": -31}, "has expired"),
        ({"nbf": 90}, "is not valid yet"),
        ({"iat": 90}, "is not valid yet"),
        ({"aud": "elsewhere"}, "is for another service"),
        ({"aud": ["elsewhere"]}, "is for another service"),
        ({"iss": "https://login.example/"}, "is from another issuer"),
        ({"exp": None}, "is not valid"),
        ({"aud": None}, "is not valid"),
        ({"iss": None}, "is not valid"),
        ({"exp": float("inf")}, "is not valid"),
    ],
    ids=str,
)
def test_a_token_that_is_not_for_here_and_now_is_refused(claims: dict[str, Any], says: str) -> None:
    with pytest.raises(ApiError, match=says) as caught:
        accepted(es256(**times(claims)))
    assert (caught.value.status, caught.value.code) == (401, "invalid_token")


@pytest.mark.parametrize(
    "claims", [{"exp": -5}, {"nbf": 20}, {"aud": ["x", "other-chat"]}], ids=["expired", "early", "list"]
)
def test_clocks_may_differ_a_little_and_a_token_may_be_for_several(claims: dict[str, Any]) -> None:
    assert accepted(es256(**times(claims)))["sub"] == "team-a"


def test_a_token_of_another_key_is_refused() -> None:
    with pytest.raises(ApiError, match="has a signature that is wrong"):
        accepted(token(private_key("ES256"), key_id="ES256"))


def test_a_changed_token_is_refused() -> None:
    head, _, signature = es256().split(".")
    forged = ".".join((head, unsigned({}, {"sub": "team-b"}).split(".")[1], signature))
    with pytest.raises(ApiError, match="has a signature that is wrong"):
        accepted(forged)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ({"alg": "none"}, "signed in a way"),
        ({"alg": "None"}, "signed in a way"),
        ({"alg": "HS256"}, "signed in a way"),
        ({"alg": "RS512"}, "signed in a way"),
        ({}, "signed in a way"),
        ({"alg": ["ES256"]}, "signed in a way"),
        ({"alg": "ES256", "crit": ["b64"], "b64": False}, "cannot be read"),
        ({"alg": "ES256", "crit": ["b64"], "b64": True}, "not understood"),
        ({"alg": "ES256", "kid": 7}, "cannot be read"),
    ],
    ids=str,
)
def test_a_token_may_not_choose_how_it_is_checked(header: dict[str, Any], says: str) -> None:
    with pytest.raises(ApiError, match=says):
        head_of(unsigned(header, {"sub": "team-a"}, b"x"))


def test_a_public_key_is_no_secret_to_sign_with() -> None:
    """The oldest trick: HS256 with the RSA key that everybody may read."""
    public = KEYS["RS256"].public_key()
    signed = unsigned({"alg": "HS256", "kid": "RS256"}, {"sub": "team-a"}, str(public).encode())
    with pytest.raises(ApiError, match="signed in a way"):
        head_of(signed)


def test_a_key_is_used_for_its_own_algorithms_only() -> None:
    assert SET.find(head_of(token(KEYS["ES256"], key_id="RS256"))) is None
    named = key_set(jwks(jwk(KEYS["RS256"], "one", alg="PS256")))
    assert named.find(head_of(token(KEYS["RS256"], alg="RS256"))) is None
    assert named.find(head_of(token(KEYS["RS256"], alg="PS256"))) is not None


def test_a_token_without_a_key_id_needs_a_set_with_one_key_for_it() -> None:
    assert SET.find(head_of(es256(key_id=None))) is not None
    twice = key_set(jwks(jwk(KEYS["ES256"], "one"), jwk(private_key(), "two")))
    assert twice.find(head_of(es256(key_id=None))) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "a.b.c",
        "eyJ.eyJ.eyJ",
        unsigned({}, b"{}") + ".more",
        "ä.ö.ü",
        unsigned({"alg": "ES256"}, b"x")[: -len("eA")],
        "W1tbW1s." * 3,
    ],
    ids=["empty", "dots", "letters", "cut", "four parts", "umlauts", "no payload", "brackets"],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        accepted(text)
    assert caught.value.status == 401
    assert text == "" or text not in str(caught.value)


def test_a_token_of_nested_brackets_is_refused_like_any_other() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 6000).decode()
    with pytest.raises(ApiError, match="cannot be read"):
        head_of(f"{deep[:8000]}.e30.e30")


def test_a_long_token_is_not_looked_at() -> None:
    with pytest.raises(ApiError, match="longer than 8192 characters"):
        head_of("a" * (MOST_CHARACTERS + 1))


CLAIMS = {
    "sub": "alice",
    "team": "team-a",
    "groups": ["users", "admins"],
    "tier": "gold",
    "scope": "chat.read chat.write",
}


@pytest.mark.parametrize(
    ("settings", "tenant"),
    [
        ({}, "alice"),
        ({"tenant_claim": "team"}, "team-a"),
        ({"required_claims": (RequiredClaim("groups", ("admins", "owners")),)}, "alice"),
        ({"required_claims": (RequiredClaim("tier", ("gold",)),)}, "alice"),
        ({"required_scopes": ("chat.read", "chat.write")}, "alice"),
    ],
    ids=["subject", "claim", "list", "value", "scopes"],
)
def test_claims_name_the_tenant(settings: dict[str, Any], tenant: str) -> None:
    assert tenant_of(CLAIMS, Jwt("https://x", ("chat",), **settings)) == tenant


@pytest.mark.parametrize(
    ("settings", "status", "says"),
    [
        ({"tenant_claim": "team_id"}, 401, "no usable claim 'team_id'"),
        ({"tenant_claim": "groups"}, 401, "no usable claim 'groups'"),
        ({"required_claims": (RequiredClaim("groups", ("owners",)),)}, 403, "lacks the claim 'groups'"),
        ({"required_claims": (RequiredClaim("level", ("1",)),)}, 403, "lacks the claim 'level'"),
        ({"required_scopes": ("chat.read", "chat.admin")}, 403, "lacks the scope 'chat.admin'"),
        ({"required_scopes": ("chat",)}, 403, "lacks the scope 'chat'"),
    ],
    ids=["no tenant", "no text", "value", "claim", "scope", "part of a scope"],
)
def test_who_is_known_and_may_not_gets_403(settings: dict[str, Any], status: int, says: str) -> None:
    with pytest.raises(ApiError, match=says) as caught:
        tenant_of(CLAIMS, Jwt("https://x", ("chat",), **settings))
    assert caught.value.status == status


@pytest.mark.parametrize("name", ["", "a\nb", "a" * 257, "a\x00"], ids=["empty", "lines", "long", "null"])
def test_a_name_that_no_tenant_can_have_is_refused(name: str) -> None:
    with pytest.raises(ApiError, match="no usable claim"):
        tenant_of({"sub": name}, SETTINGS)


def test_scopes_may_be_a_list() -> None:
    settings = Jwt("https://x", ("chat",), required_scopes=("a",))
    assert tenant_of({"sub": "t", "scp": ["a", "b"]}, settings) == "t"
    for wrong in ({"scp": {"a": 1}}, {"scope": 7}, {"scope": None}):
        with pytest.raises(ApiError, match="lacks the scope"):
            tenant_of({"sub": "t", **wrong}, settings)


UNUSABLE: dict[str, Callable[[], bytes]] = {
    "no JSON": lambda: b"<html>",
    "no object": lambda: b"[]",
    "no keys": lambda: b"{}",
    "keys of no kind": lambda: jwks({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}, {"kty": 7}, {}),
    "encryption": lambda: jwks(jwk(KEYS["RS256"], use="enc"), jwk(KEYS["ES256"], key_ops=["sign"])),
    "another curve": lambda: jwks(jwk(ec.generate_private_key(ec.SECP384R1()))),
    "short RSA": lambda: jwks(jwk(rsa.generate_private_key(65537, 1024))),  # noqa: S505 - that is the point
    "broken": lambda: jwks({"kty": "RSA", "n": "!", "e": 3}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
    "too many": lambda: jwks(*[jwk(KEYS["ES256"])] * 65),
    "deep": lambda: b'{"keys":' + b"[" * 100_000,
    "another algorithm": lambda: jwks(jwk(KEYS["RS256"], alg="RS512")),
    "another Edwards curve": lambda: jwks(jwk(ed448.Ed448PrivateKey.generate())),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("document", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_set_without_a_usable_key_is_refused(document: Callable[[], bytes]) -> None:
    with pytest.raises(UnusableError, match="key set"):
        key_set(document())


def test_a_set_may_hold_keys_that_are_not_for_here() -> None:
    keys = key_set(jwks({"kty": "oct", "k": "c2VjcmV0"}, jwk(KEYS["ES256"], "ours"), {"kty": "new"})).keys
    assert [key.id for key in keys] == ["ours"]


def test_the_private_half_of_a_key_is_not_kept() -> None:
    private = jwt.algorithms.ECAlgorithm.to_jwk(KEYS["ES256"], as_dict=True)  # type: ignore[call-overload]
    assert "d" in private
    (key,) = key_set(jwks(private)).keys
    assert isinstance(key.key, ec.EllipticCurvePublicKey)
