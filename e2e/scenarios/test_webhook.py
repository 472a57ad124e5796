"""A `webhook` rule against a real service in the cluster: it allows, it refuses, it is slow, broken and not there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests

from e2e.kit.environment import Environment
from e2e.kit.figures import guard_total
from e2e.kit.kube import Document, Kube, is_true
from e2e.kit.program import secret, start, stop
from e2e.kit.samples import policy
from e2e.kit.service import reach
from e2e.kit.wait import until

pytestmark = pytest.mark.cluster
JUDGE = "judge"
TOKEN, KEY = "token-of-the-scenario", "key-of-the-scenario-0123456789abcdef"
MAIL = "jane.doe@example.com"
TIMEOUT_SECONDS = 1.0
POLICIES = ("Closed", "Open")


def asking(namespace: str, on_error: str) -> Document:
    """A policy that masks, and then asks in both directions."""
    webhook = {
        "url": f"http://{JUDGE}.{namespace}.svc/v1/judge",
        "timeout": "1s",
        "onError": on_error,
        "tokenSecretRef": {"name": JUDGE, "key": "token"},
        "signingKeySecretRef": {"name": JUDGE, "key": "hmac"},
    }
    rules = [{"pii": {}}, {"webhook": webhook}]
    return policy(namespace, on_error.lower(), input=rules, output=rules)


def deployed(namespace: str, on_error: str) -> Document:
    return {
        "apiVersion": "llmops.dev/v1alpha1",
        "kind": "LLMDeployment",
        "metadata": {"name": on_error.lower(), "namespace": namespace},
        "spec": {
            "model": {"name": "support-chat"},
            "engine": {"benchmark": {"tokens": 12}},
            "guard": {"policyRef": {"name": on_error.lower()}},
        },
    }


@pytest.fixture(scope="module")
def judge(kube: Kube, environment: Environment, namespace: str) -> Iterator[str]:
    """The service's URL."""
    kube.apply(secret(namespace, JUDGE, token=TOKEN, hmac=KEY))
    start(kube, namespace, environment.images["sidecar"], JUDGE)
    with reach(environment, namespace, JUDGE) as url:
        yield url
    stop(kube, namespace, JUDGE)


@pytest.fixture(scope="module")
def urls(kube: Kube, environment: Environment, namespace: str, judge: str) -> Iterator[Mapping[str, str]]:
    """Of the services, by what happens when nobody answers."""
    assert judge
    for on_error in POLICIES:
        kube.apply(asking(namespace, on_error))
        kube.apply(deployed(namespace, on_error))
    for on_error in POLICIES:
        name = on_error.lower()
        until(f"{name} is Ready", lambda name=name: is_true(kube.get("LLMDeployment", name, namespace), "Ready"), 90)  # type: ignore[misc]
    with reach(environment, namespace, "closed") as closed, reach(environment, namespace, "open") as other:
        yield {"Closed": closed, "Open": other}
    for on_error in POLICIES:
        kube.delete("LLMDeployment", on_error.lower(), namespace)


def ask(url: str, name: str, text: str = "Hello", **fields: Any) -> requests.Response:
    body = {"model": "support-chat", "messages": [{"role": "user", "content": text}], **fields}
    headers = {"x-request-id": name, "cache-control": "no-store"}
    return requests.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=30)


def questions(judge: str, name: str) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = requests.get(f"{judge}/questions", timeout=10).json()
    return [one for one in asked if one["id"] == name]


def errors(kube: Kube, namespace: str, on_error: str) -> float:
    return guard_total(kube, namespace, on_error.lower(), "llmops_guard_errors_total")


@pytest.mark.parametrize("stream", [True, False])
def test_what_the_service_allows_passes_and_is_asked_about_as_it_is_forwarded(
    urls: Mapping[str, str], judge: str, *, stream: bool
) -> None:
    name = f"allow-{stream}"
    answer = ask(urls["Closed"], name, f"Write to {MAIL}", stream=stream)
    assert answer.status_code == 200
    assert "engine" in answer.text
    before, after = questions(judge, name)
    assert (before["direction"], after["direction"]) == ("input", "output")
    assert "Write to [EMAIL]" in before["texts"]
    assert MAIL not in str(before)
    assert after["texts"][0].startswith("This is the benchmark engine")
    for one in (before, after):
        assert (one["version"], one["policy"]["name"], one["tenant"]) == (1, "closed", "anonymous")
        assert one["signed"]
        assert one["known"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_prompt_that_the_service_refuses_is_refused(urls: Mapping[str, str], judge: str, *, stream: bool) -> None:
    answer = ask(urls["Closed"], f"refuse-input-{stream}", stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_blocked")
    assert "webhook: self-made" in answer.json()["error"]["message"]
    assert [one["direction"] for one in questions(judge, f"refuse-input-{stream}")] == ["input"]


@pytest.mark.parametrize("stream", [True, False])
def test_nothing_of_an_answer_leaves_that_the_service_refuses(urls: Mapping[str, str], *, stream: bool) -> None:
    answer = ask(urls["Closed"], f"refuse-output-{stream}", stream=stream)
    assert answer.status_code == 200
    assert '"content_filter"' in answer.text
    assert "benchmark engine" not in answer.text
    assert '"content":"This' not in answer.text


def test_what_is_only_reported_passes_and_is_counted(kube: Kube, namespace: str, urls: Mapping[str, str]) -> None:
    before = guard_total(kube, namespace, "closed", "llmops_guard_verdicts_total")
    assert ask(urls["Closed"], "report").status_code == 200
    assert guard_total(kube, namespace, "closed", "llmops_guard_verdicts_total") == before + 2


@pytest.mark.parametrize("name", ["slow", "broken"])
def test_a_service_that_does_not_answer_refuses_where_it_is_closed_and_is_counted_where_it_is_open(
    kube: Kube, namespace: str, urls: Mapping[str, str], name: str
) -> None:
    for on_error, status, failed in (("Closed", 503, 1), ("Open", 200, 2)):
        before, started = errors(kube, namespace, on_error), time.monotonic()
        answer = ask(urls[on_error], name)
        assert answer.status_code == status
        assert time.monotonic() - started < failed * (TIMEOUT_SECONDS + 0.5) + 3
        assert errors(kube, namespace, on_error) == before + failed
        if status == 503:
            assert answer.json()["error"]["code"] == "guard_unavailable"
        assert ask(urls[on_error], f"allow-after-{name}").status_code == 200


def test_a_service_that_is_gone_and_comes_back(
    kube: Kube, environment: Environment, namespace: str, urls: Mapping[str, str]
) -> None:
    stop(kube, namespace, JUDGE)
    for on_error, status in (("Closed", 503), ("Open", 200)):
        before = errors(kube, namespace, on_error)
        outcomes = {ask(urls[on_error], f"allow-gone-{number}").status_code for number in range(8)}
        assert outcomes == {status}, on_error
        started = time.monotonic()
        assert ask(urls[on_error], "allow-gone").status_code == status
        assert time.monotonic() - started < TIMEOUT_SECONDS, "after five errors nobody is asked for a while"
        assert errors(kube, namespace, on_error) >= before + 9
    start(kube, namespace, environment.images["sidecar"], JUDGE)
    until("it is asked again", lambda: ask(urls["Closed"], "allow-back").status_code == 200, 30)
    assert ask(urls["Closed"], "refuse-input-back").status_code == 400
