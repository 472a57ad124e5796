"""An issuer of access tokens that stands at the wire: a TLS server with a key set that rotates, and its authority."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Document = dict[str, Any]


def private_key(algorithm: str = "ES256") -> PrivateKey:
    """A new key for an algorithm of tokens."""
    match algorithm:
        case "RS256" | "PS256":
            return rsa.generate_private_key(65537, 2048)
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def jwk(key: PrivateKey, key_id: str | None = "one", **more: Any) -> Document:
    """The public half of a key, as key sets hold it."""
    makers: dict[type, Any] = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    maker: Any = next((one for kind, one in makers.items() if isinstance(key, kind)), OKPAlgorithm)
    named = {} if key_id is None else {"kid": key_id}
    return {**maker.to_jwk(key.public_key(), as_dict=True), **named, **more}


def jwks(*keys: Document) -> bytes:
    """A key set."""
    return json.dumps({"keys": keys}).encode()


def token(key: Any, claims: Document | None = None, key_id: str | None = "one", **header: Any) -> str:
    """A token of the issuer `https://login.example` for the audience `chat`; claims that are None are left out."""
    now = int(time.time())
    usual = {"iss": "https://login.example", "aud": "chat", "sub": "team-a", "iat": now, "exp": now + 300}
    said = {name: value for name, value in (usual | (claims or {})).items() if value is not None}
    algorithm = header.pop("alg", "ES256")
    named = {} if key_id is None else {"kid": key_id}
    return jwt.encode(said, key, algorithm=algorithm, headers={**named, **header})


def unsigned(header: Document, claims: Document | bytes, signature: bytes = b"") -> str:
    """Three parts that look like a token."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    parts = (json.dumps(header).encode(), payload, signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


class Authority:
    """A certificate authority for tests."""

    def __init__(self, name: str = "authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = (
            _builder(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        """Its certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self, common_name: str = "server", names: Sequence[x509.GeneralName] = (), *, days: float = 1
    ) -> tuple[bytes, bytes]:
        """A certificate and its key, in PEM; for `localhost` and 127.0.0.1 unless names are given."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])
        usual = (x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1")))
        certificate = (
            _builder(subject, self._name, key.public_key(), days)
            .add_extension(x509.SubjectAlternativeName(tuple(names) or usual), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return certificate.public_bytes(Encoding.PEM), private


def _builder(subject: x509.Name, issuer: x509.Name, key: Any, days: float = 1) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
    )


@dataclass
class Issuer:
    """The server: `rotate` replaces its keys; `respond` makes it answer something else instead of the key set."""

    directory: Path
    url: str = ""
    key: PrivateKey = field(default_factory=private_key)
    key_id: str = "one"
    asked: int = 0
    """How often the key set was asked for."""
    respond: web.Response | None = None
    discovery: Document | None = None
    authority: Authority = field(default_factory=Authority)

    @property
    def ca_file(self) -> Path:
        """The certificate of its authority."""
        return self.directory / "issuer-ca.crt"

    def rotate(self, key_id: str) -> None:
        """Sign with a new key from now on, and forget the old one."""
        self.key, self.key_id = private_key(), key_id

    def token(self, **claims: Any) -> str:
        """A token for the audience `chat`."""
        return token(self.key, {"iss": self.url} | claims, self.key_id)

    async def _keys(self, _request: web.Request) -> web.Response:
        self.asked += 1
        if self.respond is not None:
            return web.Response(body=self.respond.body, status=self.respond.status, headers=self.respond.headers)
        return web.Response(body=jwks(jwk(self.key, self.key_id)), content_type="application/json")

    async def _configuration(self, _request: web.Request) -> web.Response:
        return web.json_response(self.discovery or {"issuer": self.url, "jwks_uri": f"{self.url}/keys"})

    @contextlib.asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[Issuer]:
        """Serve until the block ends."""
        certificate, key = self.authority.issue()
        self.ca_file.write_bytes(self.authority.pem)
        (self.directory / "issuer.pem").write_bytes(certificate + key)
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / "issuer.pem")
        app = web.Application()
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/.well-known/openid-configuration", self._configuration)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        self.url = f"https://localhost:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()
