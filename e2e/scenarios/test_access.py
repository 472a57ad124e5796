"""Access on running pods: a missing Secret is named, keys let callers in, and TLS is what the Service speaks."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from contextlib import ExitStack, closing
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from openai import AuthenticationError, DefaultHttpxClient, OpenAI

from e2e.kit.environment import Environment
from e2e.kit.kube import Kube, condition, is_true
from e2e.kit.program import secret
from e2e.kit.samples import deployment
from e2e.kit.service import ask, client, reach
from e2e.kit.wait import until
from tests.support.issuer import Authority

pytestmark = pytest.mark.cluster
KEY, ANOTHER = "sk-of-the-scenario-0123456789", "sk-another-of-the-scenario-0123"
BENCHMARK = {"benchmark": {"tokens": 3}}
KUBELET_SECONDS = 90
"""Until a kubelet that nobody told brings a changed Secret."""


def refused(url: str, key: str) -> bool:
    try:
        ask(client(url, key), "Hello")
    except AuthenticationError:
        return True
    return False


def test_open_access_is_told(kube: Kube, environment: Environment, namespace: str) -> None:
    kube.apply(deployment(namespace, environment.images, "open"))
    until("AccessOpen", lambda: is_true(kube.get("LLMDeployment", "open", namespace), "AccessOpen"), 30)
    kube.delete("LLMDeployment", "open", namespace)


def test_keys_of_a_secret_let_callers_in(kube: Kube, environment: Environment, namespace: str) -> None:
    kube.apply(deployment(namespace, environment.images, "keyed", access={"apiKeys": {"secretName": "keys"}}))

    def named() -> bool:
        ready = condition(kube.get("LLMDeployment", "keyed", namespace), "Ready")
        return ready is not None and ready["reason"] == "AccessInvalid" and "Secret keys needs" in ready["message"]

    until("the missing Secret is named", named, 60)
    kube.apply(secret(namespace, "keys", team=f"{KEY}\n{ANOTHER}"))
    until("Ready", lambda: is_true(kube.get("LLMDeployment", "keyed", namespace), "Ready"), KUBELET_SECONDS + 30)
    with reach(environment, namespace, "keyed") as url:
        assert ask(client(url, KEY), "Hello", max_tokens=5)
        assert refused(url, "sk-of-nobody-0123456789")
        kube.apply(secret(namespace, "keys", team=ANOTHER))
        until("the former key is refused", lambda: refused(url, KEY), KUBELET_SECONDS)
        assert ask(client(url, ANOTHER), "Hello", max_tokens=5)
    kube.delete("LLMDeployment", "keyed", namespace)


def serial(host: str, port: int, trust: ssl.SSLContext) -> str:
    """The serial number of the certificate that a new connection is shown."""
    with (
        socket.create_connection((host, port), timeout=10) as plain,
        trust.wrap_socket(plain, server_hostname=host) as secure,
    ):
        return str((secure.getpeercert() or {})["serialNumber"])


def test_the_service_speaks_tls_and_takes_a_new_certificate_without_an_end_to_connections(
    kube: Kube, environment: Environment, namespace: str
) -> None:
    authority, host = Authority(), f"tls.{namespace}.svc"
    names = (x509.DNSName(host), x509.IPAddress(ip_address("127.0.0.1")))

    def put() -> None:
        certificate, key = authority.issue(host, names)
        kube.apply(secret(namespace, "tls", tls_crt=certificate.decode(), tls_key=key.decode()))

    put()
    kube.apply(deployment(namespace, environment.images, "tls", access={"tls": {"secretName": "tls"}}))
    until("Ready", lambda: is_true(kube.get("LLMDeployment", "tls", namespace), "Ready"), 60)
    document = kube.get("LLMDeployment", "tls", namespace) or {}
    assert document["status"]["url"] == f"https://{host}/v1"
    context = ssl.create_default_context(cadata=authority.pem.decode())
    trust = DefaultHttpxClient(verify=context)
    with reach(environment, namespace, "tls", 443) as url, trust, ExitStack() as open_connections:
        address = urlsplit(url)
        first = serial(str(address.hostname), int(address.port or 0), context)
        api = OpenAI(base_url=f"https://{address.netloc}/v1", api_key="unused", max_retries=0, http_client=trust)
        assert ask(api, "Hello", max_tokens=5)
        kept = open_connections.enter_context(
            closing(http.client.HTTPSConnection(str(address.hostname), address.port, context=context, timeout=30))
        )
        kept.connect()
        before = kept.sock
        put()

        def replaced() -> bool:
            kept.request("GET", "/v1/models")
            assert kept.getresponse().read()
            return serial(str(address.hostname), int(address.port or 0), context) != first

        until("new connections get the new certificate", replaced, KUBELET_SECONDS)
        assert kept.sock is before
        assert ask(api, "Hello", max_tokens=5)
    kube.delete("LLMDeployment", "tls", namespace)


def test_a_client_that_begins_tls_and_says_nothing_is_cut(kube: Kube, environment: Environment, namespace: str) -> None:
    authority = Authority()
    certificate, key = authority.issue("silent")
    kube.apply(secret(namespace, "silent", tls_crt=certificate.decode(), tls_key=key.decode()))
    kube.apply(
        deployment(namespace, environment.images, "silent", engine=BENCHMARK, access={"tls": {"secretName": "silent"}})
    )
    until("Ready", lambda: is_true(kube.get("LLMDeployment", "silent", namespace), "Ready"), 60)
    with reach(environment, namespace, "silent", 443) as url:
        address = urlsplit(url)
        with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=20) as silent:
            began = time.monotonic()
            assert silent.recv(1) == b""
            assert 5 < time.monotonic() - began < 15
    kube.delete("LLMDeployment", "silent", namespace)
