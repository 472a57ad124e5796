"""The main job, in the order in which a person would do it: the tests of this file build on one another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Self

import pytest
from openai import BadRequestError, OpenAI

from e2e.kit.environment import Environment
from e2e.kit.kube import Kube, is_true
from e2e.kit.samples import quickstart
from e2e.kit.service import ask, client, reach, stream
from e2e.kit.wait import until

NAME = "chat"
SELECTOR = f"app.kubernetes.io/instance={NAME}"
pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("api")]


@pytest.fixture(scope="module")
def api(kube: Kube, environment: Environment, namespace: str) -> Iterator[OpenAI]:
    for document in quickstart(namespace, environment.images):
        kube.apply(document)
    until("Ready", lambda: is_true(kube.get("LLMDeployment", NAME, namespace), "Ready"), 60)
    with reach(environment, namespace, NAME) as url:
        yield client(url)


def pods(kube: Kube, namespace: str) -> list[str]:
    """Names of the serving pods that are not on their way out."""
    found = kube.list("Pod", namespace, SELECTOR)
    return sorted(pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"])


def test_kubectl_shows_it_ready(kube: Kube, namespace: str) -> None:
    shown = kube.kubectl("get", "llmd", NAME, "--namespace", namespace)
    header, row = shown.splitlines()[:2]
    assert header.split()[:2] == ["NAME", "READY"]
    assert row.split()[:2] == [NAME, "True"]
    assert f"http://{NAME}.{namespace}.svc" in row


def test_a_stream_comes_token_by_token(api: OpenAI) -> None:
    pieces = stream(api, "Our company", max_tokens=40)
    assert len(pieces) > 10
    assert "".join(pieces).strip()


def test_a_stream_and_a_whole_answer_say_the_same(api: OpenAI) -> None:
    whole = ask(api, "Our company", max_tokens=40, extra_headers={"cache-control": "no-store"})
    streamed = stream(api, "Our company", max_tokens=40, extra_headers={"cache-control": "no-store"})
    assert "".join(streamed) == whole


def test_the_model_is_listed(api: OpenAI) -> None:
    assert [model.id for model in api.models.list()] == ["support-chat"]


def test_the_engine_receives_an_address_masked(api: OpenAI) -> None:
    said = ask(api, "Repeat after me: write to jane.doe@example.com today", max_tokens=40)
    assert "jane" not in said
    assert "[EMAIL]" in said.replace(" ", "")


def test_a_secret_in_a_prompt_is_refused_with_the_rule_and_without_the_secret(api: OpenAI) -> None:
    secret = "AKIAIOSFODNN7EXAMPLE"
    with pytest.raises(BadRequestError) as refused:
        ask(api, f"My key is {secret}, is it safe?")
    assert "secrets" in str(refused.value)
    assert secret not in str(refused.value)


def test_a_phone_number_that_the_model_says_never_arrives(api: OpenAI) -> None:
    for said in (ask(api, "Call me", max_tokens=20), "".join(stream(api, "Call me", max_tokens=20))):
        assert "1234567" not in said
        assert "+49" not in said
        assert "[PHONE]" in said


def test_the_same_question_comes_from_the_cache(api: OpenAI) -> None:
    question = {"model": "support-chat", "messages": [{"role": "user", "content": "Our support"}], "max_tokens": 24}
    answers = [api.chat.completions.with_raw_response.create(**question) for _ in range(2)]  # type: ignore[call-overload]
    assert [answer.headers["x-llmops-cache"] for answer in answers] == ["miss", "hit"]
    first, second = (answer.parse().choices[0].message.content for answer in answers)
    assert first == second


def test_another_caller_does_not_share_the_cache(environment: Environment, namespace: str) -> None:
    with reach(environment, namespace, NAME) as url:
        stranger = client(url, key="another-user")
        answer = stranger.chat.completions.with_raw_response.create(
            model="support-chat", messages=[{"role": "user", "content": "Our support"}], max_tokens=24
        )
    assert answer.headers["x-llmops-cache"] == "miss"


def test_a_template_is_rendered_with_its_variables(api: OpenAI) -> None:
    prompt = {"id": "support", "variables": {"company": "Acme", "question": "Repeat after me: hello Acme"}}
    answer = api.chat.completions.with_raw_response.create(
        model="support-chat", messages=[], max_tokens=20, extra_body={"prompt": prompt}
    )
    assert answer.headers["x-llmops-prompt"].startswith("support@")
    assert "hello Acme" in (answer.parse().choices[0].message.content or "")


def test_a_template_with_a_missing_variable_is_refused_by_name(api: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="question"):
        api.chat.completions.create(model="support-chat", messages=[], extra_body={"prompt": {"id": "support"}})


def test_a_killed_pod_is_replaced_while_requests_go_on(kube: Kube, namespace: str, environment: Environment) -> None:
    kube.patch("LLMDeployment", NAME, namespace, {"spec": {"replicas": 2}})
    until("two ready", lambda: ready_replicas(kube, namespace) == 2, 60)
    victim = pods(kube, namespace)[0]
    with reach(environment, namespace, NAME) as url, Traffic(client(url, retries=2)) as traffic:
        traffic.await_answers(5)
        kube.delete("Pod", victim, namespace)
        until("it is gone", lambda: kube.get("Pod", victim, namespace) is None, 60)
        until("two ready again", lambda: ready_replicas(kube, namespace) == 2, 60)
        traffic.await_answers(5)
    assert traffic.failures == []
    assert victim not in pods(kube, namespace)
    kube.patch("LLMDeployment", NAME, namespace, {"spec": {"replicas": 1}})
    until("one pod", lambda: len(pods(kube, namespace)) == 1, 60)


def test_a_changed_policy_is_obeyed_without_a_pod_restart(kube: Kube, namespace: str, api: OpenAI) -> None:
    before = restarts(kube, namespace)
    assert ask(api, "Repeat after me: the zebra project", max_tokens=20)
    policy = kube.get("GuardPolicy", "strict", namespace)
    assert policy is not None
    rule = {"patterns": [{"name": "zebra", "expression": "(?i)zebra", "action": "Block"}]}
    kube.patch("GuardPolicy", "strict", namespace, {"spec": {"input": [*policy["spec"]["input"], rule]}})
    until("refusal", lambda: refused_by(api, "Repeat after me: the zebra project") == "zebra", 15)
    assert restarts(kube, namespace) == before


def test_nothing_is_left_after_deletion(kube: Kube, namespace: str) -> None:
    kube.delete("LLMDeployment", NAME, namespace)
    kinds = (
        "Deployment",
        "ReplicaSet",
        "Pod",
        "Service",
        "ConfigMap",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "ServiceAccount",
    )
    for kind in kinds:
        until(f"no {kind}", lambda kind=kind: not kube.list(kind, namespace, SELECTOR), 90)  # type: ignore[misc]


def ready_replicas(kube: Kube, namespace: str) -> int:
    found = kube.get("LLMDeployment", NAME, namespace) or {}
    return int(found.get("status", {}).get("readyReplicas", 0)) if is_true(found, "Ready") else 0


def restarts(kube: Kube, namespace: str) -> dict[str, int]:
    """Restart counts by pod and container: equal before and after means that nothing restarted."""
    return {
        f"{pod['metadata']['name']}/{status['name']}": status["restartCount"]
        for pod in kube.list("Pod", namespace, SELECTOR)
        for status in (*pod["status"]["containerStatuses"], *pod["status"]["initContainerStatuses"])
    }


def refused_by(api: OpenAI, text: str) -> str | None:
    """The name of the rule that refuses this prompt, if one does."""
    try:
        ask(api, text, max_tokens=20, extra_headers={"cache-control": "no-store"})
    except BadRequestError as error:
        return "zebra" if "zebra" in error.message else error.message
    return None


class Traffic:
    """Streams one after the other in a thread until the block ends; keeps what failed."""

    def __init__(self, api: OpenAI) -> None:
        self.api, self.answers, self.failures = api, 0, list[str]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def await_answers(self, count: int) -> None:
        """Wait for so many more answers."""
        wanted = self.answers + count
        until(f"{count} more answers", lambda: self.answers >= wanted or self.failures, 60)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                stream(self.api, "Our company", max_tokens=20, extra_headers={"cache-control": "no-store"})
                self.answers += 1
            except Exception as error:  # noqa: BLE001 - every failure counts, whatever it is
                self.failures.append(repr(error))
