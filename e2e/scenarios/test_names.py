"""Names of persons, found by a model that the policy brings along in an image volume."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI

from e2e.kit.environment import Environment
from e2e.kit.figures import guard_total
from e2e.kit.kube import Kube, is_true
from e2e.kit.samples import deployment, policy
from e2e.kit.service import ask, client, reach, stream
from e2e.kit.wait import until

pytestmark = pytest.mark.cluster
NAME = "names"


@pytest.fixture(scope="module")
def api(kube: Kube, environment: Environment, namespace: str) -> Iterator[OpenAI]:
    image = {"reference": environment.images["names-model"], "pullPolicy": "IfNotPresent"}
    rule = {"pii": {"entities": ["PersonName"], "model": {"image": image, "memory": "64Mi"}}}
    kube.apply(policy(namespace, input=[rule], output=[rule]))
    document = deployment(namespace, environment.images, NAME, guard={"policyRef": {"name": "strict"}})
    kube.apply(document)
    until("Ready", lambda: is_true(kube.get("LLMDeployment", NAME, namespace), "Ready"), 60)
    with reach(environment, namespace, NAME) as url:
        yield client(url)


def test_the_engine_receives_names_masked(api: OpenAI) -> None:
    said = ask(api, "Repeat after me: Jane Smith and Bob met in Paris", max_tokens=40)
    assert said.replace(" ", "") == "[PERSON]and[PERSON]metinParis"


def test_so_it_does_when_the_answer_streams(api: OpenAI) -> None:
    said = "".join(stream(api, "Repeat after me: only Alice knows", max_tokens=40))
    assert said.replace(" ", "") == "only[PERSON]knows"


def test_what_the_model_finds_is_counted(kube: Kube, namespace: str, api: OpenAI) -> None:
    def findings() -> float:
        return guard_total(kube, namespace, NAME, "llmops_guard_verdicts_total")

    before = findings()
    ask(api, "Repeat after me: Alice and Bob", max_tokens=40)
    assert findings() == before + 2
