"""Bad requests to a real pod: each gets a clear error of OpenAI's form, and the service goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import requests

from e2e.kit.environment import Environment
from e2e.kit.kube import Kube, is_true
from e2e.kit.samples import quickstart
from e2e.kit.service import ask, client, reach
from e2e.kit.wait import until

pytestmark = pytest.mark.cluster
NAME = "chat"
TWO_MEGABYTES = 2 * 1024 * 1024


@pytest.fixture(scope="module")
def url(kube: Kube, environment: Environment, namespace: str) -> Iterator[str]:
    for document in quickstart(namespace, environment.images):
        kube.apply(document)
    until("Ready", lambda: is_true(kube.get("LLMDeployment", NAME, namespace), "Ready"), 60)
    with reach(environment, namespace, NAME) as found:
        yield found
    kube.delete("LLMDeployment", NAME, namespace)


def said(**change: object) -> bytes:
    request = {"model": "support-chat", "messages": [{"role": "user", "content": "Our support"}], **change}
    return json.dumps({key: value for key, value in request.items() if value is not None}).encode()


def templated(**variables: object) -> bytes:
    return said(messages=[], prompt={"id": "support", "variables": variables})


BAD: list[tuple[str, bytes, int, str, str]] = [
    ("a body of 2 MB", said(messages=[{"role": "user", "content": "x" * TWO_MEGABYTES}]), 413, "body_too_large", ""),
    ("broken JSON", b'{"model": "support-chat", "messages": [', 400, "invalid_json", ""),
    ("invalid UTF-8", said().replace(b"Our", b"\xff\xfe"), 400, "invalid_json", ""),
    ("no JSON object", b"[]", 400, "invalid_json", ""),
    ("an unknown model", said(model="other"), 404, "model_not_found", "support-chat"),
    ("no model", said(model=None), 400, "missing_field", "model"),
    ("a field of another type", said(temperature="warm"), 400, "invalid_value", "temperature"),
    ("an unknown role", said(messages=[{"role": "robot", "content": "x"}]), 400, "invalid_value", "role"),
    ("an unknown template", said(messages=[], prompt={"id": "absent"}), 400, "prompt_not_found", "support"),
    ("a missing variable", templated(company="Acme"), 400, "missing_variable", "question"),
    ("a surplus variable", templated(question="x", color="red"), 400, "unknown_variable", "color"),
    ("a variable of another type", templated(question=7), 400, "invalid_variable", "question"),
    (
        "a secret",
        said(messages=[{"role": "user", "content": "AKIAIOSFODNN7EXAMPLE"}]),
        400,
        "content_blocked",
        "secrets",
    ),
]


@pytest.mark.parametrize(("body", "status", "code", "words"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_bad_request_is_told_what_is_wrong(url: str, body: bytes, status: int, code: str, words: str) -> None:
    answer = requests.post(f"{url}/v1/chat/completions", data=body, timeout=30)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert set(error) == {"message", "type", "param", "code"}
    assert words in error["message"]
    assert "AKIA" not in answer.text
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("GET", "/v2/health/ready", 404),
        ("GET", "/", 404),
    ],
    ids=["method", "method of models", "the engine's path", "root"],
)
def test_another_path_or_method_is_refused_in_the_same_form(url: str, method: str, path: str, status: int) -> None:
    answer = requests.request(method, f"{url}{path}", timeout=30)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_the_service_goes_on(url: str) -> None:
    assert ask(client(url), "Our company", max_tokens=8)


def test_unknown_fields_are_ignored(url: str) -> None:
    answer = requests.post(f"{url}/v1/chat/completions", data=said(invented_next_month=True, max_tokens=4), timeout=30)
    assert answer.status_code == 200
