"""Tenants by the certificates of clients, which the TLS handshake has verified already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmops_sidecars.contract import CertificateField

Certificate = Mapping[str, Any]
"""As `ssl.SSLSocket.getpeercert` gives it."""

_ALTERNATIVE_NAMES = {
    CertificateField.DNS_NAME: "DNS",
    CertificateField.URI: "URI",
    CertificateField.EMAIL: "email",
}


def tenant_of(certificate: Certificate, field: CertificateField) -> str | None:
    """The tenant that a certificate names; None when it has no such name, or several, so that none is chosen."""
    found = set(_names(certificate, field))
    name = found.pop() if len(found) == 1 else ""
    return name if name and name.isprintable() else None


def _names(certificate: Certificate, field: CertificateField) -> Iterator[str]:
    if field is CertificateField.COMMON_NAME:
        parts = (part for group in certificate.get("subject", ()) for part in group)
        return (value for name, value in parts if name == "commonName")
    wanted = _ALTERNATIVE_NAMES[field]
    return (value for name, value in certificate.get("subjectAltName", ()) if name == wanted)
