from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest

from e2e.cluster import pki

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pki") / "pki"
    pki.make(made, "node-1")
    return made


def _openssl(directory: Path, *arguments: str) -> str:
    return subprocess.run(["openssl", *arguments], cwd=directory, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("one", pki.certificates("node-1"), ids=lambda one: one.name)
def test_each_certificate_is_signed_by_its_authority_for_its_subject(directory: Path, one: pki.Certificate) -> None:
    assert "OK" in _openssl(directory, "verify", "-CAfile", f"{one.authority}.crt", f"{one.name}.crt")
    subject = _openssl(directory, "x509", "-in", f"{one.name}.crt", "-noout", "-subject", "-nameopt", "compat")
    assert subject.strip() == f"subject={one.subject}"


def test_the_api_servers_certificate_holds_for_all_its_addresses(directory: Path) -> None:
    names = _openssl(directory, "x509", "-in", "apiserver.crt", "-noout", "-ext", "subjectAltName")
    for name in (
        "DNS:kubernetes.default.svc,",
        "IP Address:127.0.0.1,",
        "IP Address:10.96.0.1,",
        "IP Address:10.200.1.1",
    ):
        assert name in names


def test_no_two_certificates_of_an_authority_share_a_serial_number(directory: Path) -> None:
    names = [one.name for one in pki.certificates("node-1")]
    serials = {_openssl(directory, "x509", "-in", f"{name}.crt", "-noout", "-serial") for name in names}
    assert len(serials) == len(names)


def test_tokens_are_checked_with_the_key_that_they_are_signed_with(directory: Path) -> None:
    public = _openssl(directory, "ec", "-in", "service-accounts.key", "-pubout")
    assert (directory / "service-accounts.pub").read_text() == public


def test_nobody_else_can_read_the_keys(directory: Path) -> None:
    assert directory.stat().st_mode & 0o077 == 0


def test_a_kubeconfig_has_everything_in_it(directory: Path) -> None:
    document = json.loads(pki.kubeconfig(directory, "admin", 16443))
    assert document["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:16443"
    key = base64.b64decode(document["users"][0]["user"]["client-key-data"])
    assert key == (directory / "admin.key").read_bytes()
    context = document["contexts"][0]
    assert (document["current-context"], context["context"]["user"]) == (context["name"], document["users"][0]["name"])
