"""Consent and audit records through a pod: who must agree, and what its log says of whom, in the documented form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
from cryptography import x509

from e2e.kit.environment import Environment
from e2e.kit.kube import Document, Kube, is_true
from e2e.kit.program import secret, start, stop
from e2e.kit.samples import policy
from e2e.kit.service import reach
from e2e.kit.wait import until
from tests.support.issuer import Authority, jwk, private_key, token

pytestmark = pytest.mark.cluster
PAGE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
FORM = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])
MAIL, SECRET, WORDS = "jane.doe@example.com", "AKIAIOSFODNN7EXAMPLE", "words-of-the-scenario-51c2"
HEADER = "x-user-consent"
ISSUER = "issuer"


def deployed(namespace: str, name: str, **spec: Any) -> Document:
    return {
        "apiVersion": "llmops.dev/v1alpha1",
        "kind": "LLMDeployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "model": {"name": "support-chat"},
            "engine": {"benchmark": {"tokens": 12}},
            "guard": {"policyRef": {"name": name}},
            **spec,
        },
    }


def accountable(namespace: str, name: str, text: str = "Never", **consent: object) -> Document:
    rules: list[Document] = [{"pii": {}}, {"secrets": {}}]
    audit = {"verdicts": True, "text": text}
    return policy(namespace, name, input=rules, output=rules, consent=consent, audit=audit)


@pytest.fixture(scope="module")
def url(kube: Kube, environment: Environment, namespace: str) -> Iterator[str]:
    """Of a service that wants consent in a header."""
    kube.apply(accountable(namespace, "header", header=HEADER))
    kube.apply(deployed(namespace, "header"))
    until("Ready", lambda: is_true(kube.get("LLMDeployment", "header", namespace), "Ready"), 90)
    with reach(environment, namespace, "header") as found:
        yield found
    kube.delete("LLMDeployment", "header", namespace)


def ask(url: str, name: str, text: str = "Hello", **headers: str) -> requests.Response:
    return post(url, name, {"messages": [{"role": "user", "content": f"{text} {WORDS}"}]}, headers)


def post(url: str, name: str, fields: dict[str, Any], headers: Mapping[str, str]) -> requests.Response:
    given = {field.replace("_", "-"): value for field, value in headers.items()}
    body: Any = {"model": "support-chat", **fields}
    headers = {"x-request-id": name, "cache-control": "no-store"} | given
    return requests.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=30)


def lines(kube: Kube, namespace: str, name: str) -> str:
    """All that the guard of an LLMDeployment has written."""
    arguments = ("--namespace", namespace, f"deployment/{name}", "--container", "guard", "--tail=-1")
    return kube.kubectl("logs", *arguments)


def records(kube: Kube, namespace: str, name: str, request: str) -> list[Document]:
    """The audit records of a request, which keep to the documented form."""
    parsed = [json.loads(line) for line in lines(kube, namespace, name).splitlines() if line.startswith("{")]
    found = [one for one in parsed if one["logger"] == "llmops.audit" and one["request_id"] == request]
    for one in found:
        jsonschema.validate(one, FORM, cls=jsonschema.Draft202012Validator)
    return found


def record(kube: Kube, namespace: str, name: str, request: str) -> Document:
    """The one record of a request."""
    (found,) = until(f"a record of {request}", lambda: records(kube, namespace, name, request), 10)
    return found


@pytest.mark.parametrize("value", [None, "false", ""])
def test_without_consent_nothing_is_read_and_the_record_says_so(
    kube: Kube, namespace: str, url: str, value: str | None
) -> None:
    name = f"without-{value}"
    answer = ask(url, name, SECRET, **({} if value is None else {"x_user_consent": value}))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "consent_required")
    assert HEADER in answer.json()["error"]["message"]
    one = record(kube, namespace, "header", name)
    assert (one["consent"], one["status"], one["outcome"], one["verdicts"]) == (False, 403, "consent_required", [])
    assert one["checked"] == {"input": 0, "output": 0}


@pytest.mark.parametrize("stream", [True, False])
def test_with_consent_it_is_served_and_the_record_says_what_was_found(
    kube: Kube, namespace: str, url: str, *, stream: bool
) -> None:
    name, text = f"with-{stream}", f"Write to {MAIL} {WORDS}"
    fields = {"messages": [{"role": "user", "content": text}], "stream": stream}
    assert post(url, name, fields, {HEADER: "true"}).status_code == 200
    one = record(kube, namespace, "header", name)
    assert (one["consent"], one["status"], one["outcome"]) == (True, 200, "ok")
    assert (one["tenant"], one["policy"]["name"]) == ("anonymous", "header")
    assert one["rules"] == {"input": ["pii", "secrets"], "output": ["pii", "secrets"]}
    assert one["verdicts"] == [{"rule": "pii", "kind": "Email", "direction": "input", "action": "Mask", "count": 1}]
    assert one["checked"]["input"] == len(text)
    assert one["checked"]["output"] > 0


def test_what_was_blocked_is_recorded_by_its_kind_alone(kube: Kube, namespace: str, url: str) -> None:
    assert ask(url, "blocked", SECRET, x_user_consent="yes").status_code == 400
    one = record(kube, namespace, "header", "blocked")
    assert (one["outcome"], [verdict["rule"] for verdict in one["verdicts"]]) == ("content_blocked", ["secrets"])


def test_no_line_has_any_text(kube: Kube, namespace: str, url: str) -> None:
    assert ask(url, "last", f"{MAIL} {SECRET}", x_user_consent="1").status_code == 400
    assert record(kube, namespace, "header", "last")
    written = lines(kube, namespace, "header")
    assert not [said for said in (MAIL, SECRET, WORDS, "benchmark engine") if said in written]


def test_texts_come_masked_once_the_policy_wants_them(kube: Kube, namespace: str, url: str) -> None:
    kube.apply(accountable(namespace, "header", "Masked", header=HEADER))

    def told() -> Document | None:
        name = f"masked-{len(seen)}"
        seen.append(name)
        assert ask(url, name, f"Write to {MAIL}", x_user_consent="true").status_code == 200
        one = record(kube, namespace, "header", name)
        return one if "text" in one else None

    seen: list[str] = []
    one = until("texts in the records", told, 90)
    assert one["text"]["input"] == [f"Write to [EMAIL] {WORDS}"]
    assert one["text"]["output"][0].startswith("This is the benchmark engine")
    assert MAIL not in lines(kube, namespace, "header")


@pytest.fixture(scope="module")
def signed(kube: Kube, environment: Environment, namespace: str) -> Iterator[tuple[str, Any]]:
    """A service that knows callers by tokens, and wants consent in one of their claims; and the issuer's key."""
    key, authority, host = private_key(), Authority(), f"{ISSUER}.{namespace}.svc"
    certificate, private = authority.issue(host, (x509.DNSName(host),))
    found = {"issuer": f"https://{host}", "jwks_uri": f"https://{host}/keys"}
    files = {"configuration_json": json.dumps(found), "keys_json": json.dumps({"keys": [jwk(key)]})}
    kube.apply(secret(namespace, ISSUER, tls_crt=certificate.decode(), tls_key=private.decode(), **files))
    kube.apply(secret(namespace, "issuer-ca", ca_crt=authority.pem.decode()))
    start(kube, namespace, environment.images["sidecar"], ISSUER, 443)
    jwt = {"issuer": f"https://{host}", "audiences": ["chat"], "caSecretName": "issuer-ca", "requiredScopes": ["chat"]}
    kube.apply(accountable(namespace, "claim", claim="ai_consent"))
    kube.apply(deployed(namespace, "claim", access={"jwt": jwt}))
    until("Ready", lambda: is_true(kube.get("LLMDeployment", "claim", namespace), "Ready"), 90)
    with reach(environment, namespace, "claim") as url:
        usable = f"Bearer {token(key, claims(namespace))}"
        until("the issuer's keys are there", lambda: ask(url, "first", authorization=usable).status_code != 503, 60)
        yield url, key
    kube.delete("LLMDeployment", "claim", namespace)
    stop(kube, namespace, ISSUER)


def claims(namespace: str, **other: object) -> Document:
    return {"iss": f"https://{ISSUER}.{namespace}.svc", "scope": "chat", "ai_consent": True, **other}


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({}, 200, ""),
        ({"ai_consent": "granted"}, 200, ""),
        ({"ai_consent": False}, 403, "consent_required"),
        ({"ai_consent": None}, 403, "consent_required"),
        ({"aud": "another"}, 401, "invalid_token"),
        ({"exp": 1}, 401, "invalid_token"),
        ({"iss": "https://login.example"}, 401, "invalid_token"),
        ({"scope": "read"}, 403, "permission_denied"),
    ],
    ids=["yes", "granted", "no", "nothing", "audience", "expired", "another issuer", "scope"],
)
def test_a_token_says_who_asks_and_whether_they_agree(
    kube: Kube, namespace: str, signed: tuple[str, Any], changed: dict[str, Any], status: int, code: str
) -> None:
    url, key = signed
    name = f"token-{status}-{abs(hash(str(changed)))}"
    answer = ask(url, name, authorization=f"Bearer {token(key, claims(namespace, **changed))}")
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["error"]["code"] == code
    if status == 200 or code == "consent_required":
        one = record(kube, namespace, "claim", name)
        assert (one["tenant"], one["consent"]) == ("team-a", status == 200)


def test_a_token_of_another_key_and_no_token_are_refused(namespace: str, signed: tuple[str, Any]) -> None:
    url, _ = signed
    forged = token(private_key(), claims(namespace))
    assert ask(url, "forged", authorization=f"Bearer {forged}").status_code == 401
    assert ask(url, "none", ai_consent="true").status_code == 401
