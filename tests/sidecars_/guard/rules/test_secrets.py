from __future__ import annotations

import re

import pytest

from llmops_sidecars.contract import Action, SecretsRule
from llmops_sidecars.guard.rules import secrets

KEY = "Ab3dEf6hIj9lMn2pQr5tUv8xYz1cDe4gHi7k"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc+/=\n-----END RSA PRIVATE KEY-----"

FOUND = {
    "openai": f"sk-{KEY}",
    "openai project": f"sk-proj-{KEY}-_{KEY}",
    "anthropic": f"sk-ant-api03-{KEY}",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "aws session": "ASIAIOSFODNN7EXAMPLE",
    "github": f"ghp_{KEY}",
    "github app": f"ghs_{KEY}",
    "github fine": f"github_pat_11ABCDEFG0{KEY}",
    "gitlab": f"glpat-{KEY[:20]}",
    "slack": "xoxb-123456789012-abcdefABCDEF",
    "slack hook": "https://hooks.slack.com/services/T00000000/B00000000/abcdefABCDEF123456789012",
    "google": f"AIza{KEY[:35]}",
    "google session": f"ya29.{KEY}",
    "stripe": f"sk_live_{KEY}",
    "hugging face": f"hf_{KEY[:34]}",
    "nvidia": f"nvapi-{KEY}{KEY}",
    "npm": f"npm_{KEY}",
    "pypi": f"pypi-{KEY}{KEY}",
    "sendgrid": f"SG.{KEY[:22]}.{KEY}",
    "token": JWT,
    "token without signature": JWT.rpartition(".")[0],
    "private key": PEM,
    "open ssh key": PEM.replace("RSA", "OPENSSH"),
    "plain key": PEM.replace("RSA ", ""),
    "pgp key": PEM.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"),
    "connection": "postgres://app:s3cr3t@db.internal:5432/orders",
    "connection without user": "redis://:hunter2@cache:6379",
    "amqp": "amqps://user:p%40ss@broker/vhost",
}

NOT_FOUND = {
    "hyphenated names": "use sk-learn-style-pipelines-for-everything-here",
    "short": "sk-1234",
    "inside a word": f"task-{'a1' * 12} and brisk-{'b2' * 12}",
    "lower case": "akiaiosfodnn7example",
    "longer name": f"my_ghp_{KEY}",
    "public key": PEM.replace("PRIVATE", "PUBLIC"),
    "port": "http://localhost:8080/path@version",
    "no password": "postgres://app@db.internal/orders",
    "to be filled in": "postgres://app:${PASSWORD}@db and redis://:<password>@cache",
    "two parts": "eyJhbGciOiJIUzI1NiJ9.notpayload",
    "base64": "c2stYWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXo=",
}

find = secrets.make(SecretsRule(Action.BLOCK)).find


@pytest.mark.parametrize("secret", FOUND.values(), ids=FOUND)
@pytest.mark.parametrize("around", ["{}", "key: {} .", '"{}"', "é={}\n", r'{{"k": "\n{}"}}'])
def test_a_secret_is_found_whole(secret: str, around: str) -> None:
    text = around.format(secret)
    findings = find(text)
    assert findings, "nothing found"
    hidden = re.search(r"://[^:/]*:([^@]*)@", secret)
    assert {text[one.start : one.end] for one in findings} == {hidden[1] if hidden else secret}
    assert {(one.rule, one.label, one.action) for one in findings} == {("secrets", "[SECRET]", Action.BLOCK)}


@pytest.mark.parametrize("text", NOT_FOUND.values(), ids=NOT_FOUND)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert find(text) == []


def test_a_private_key_without_its_end_is_found_to_the_end_of_the_text() -> None:
    assert [(one.start, one.end) for one in find("x " + PEM[:60])] == [(2, 62)]
