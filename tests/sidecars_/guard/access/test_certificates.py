from __future__ import annotations

from typing import Any

import pytest

from llmops_sidecars.contract import CertificateField
from llmops_sidecars.guard.access.certificates import tenant_of

CERTIFICATE: dict[str, Any] = {
    "subject": ((("organizationName", "Acme"),), (("commonName", "team-a"),)),
    "subjectAltName": (("DNS", "a.team.example"), ("URI", "spiffe://example/ns/team-a"), ("email", "a@example.com")),
}


@pytest.mark.parametrize(
    ("field", "tenant"),
    [
        (CertificateField.COMMON_NAME, "team-a"),
        (CertificateField.DNS_NAME, "a.team.example"),
        (CertificateField.URI, "spiffe://example/ns/team-a"),
        (CertificateField.EMAIL, "a@example.com"),
    ],
)
def test_the_chosen_name_is_the_tenants(field: CertificateField, tenant: str) -> None:
    assert tenant_of(CERTIFICATE, field) == tenant


@pytest.mark.parametrize(
    "certificate",
    [
        {},
        {"subject": ((("organizationName", "Acme"),),)},
        {"subject": ((("commonName", "a"),), (("commonName", "b"),))},
        {"subject": ((("commonName", ""),),)},
        {"subject": ((("commonName", "a\nb"),),)},
    ],
    ids=["nothing", "no name", "two names", "empty", "two lines"],
)
def test_without_one_clear_name_there_is_no_tenant(certificate: dict[str, Any]) -> None:
    assert tenant_of(certificate, CertificateField.COMMON_NAME) is None


def test_several_hosts_are_no_tenant_and_one_twice_is_one() -> None:
    two = {"subjectAltName": (("DNS", "a"), ("DNS", "b"))}
    assert tenant_of(two, CertificateField.DNS_NAME) is None
    assert tenant_of({"subjectAltName": (("DNS", "a"), ("DNS", "a"))}, CertificateField.DNS_NAME) == "a"
