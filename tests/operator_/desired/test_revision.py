"""Digests: pinned, because another value would restart the pods of every user; and sensitive to the right things."""

from __future__ import annotations

from typing import Any

import pytest

from llmops_operator.api import GuardPolicySpec, LLMDeploymentSpec, PromptTemplateSpec
from llmops_operator.desired.digest import digest
from llmops_operator.desired.facts import Policy
from llmops_operator.desired.revision import (
    configuration_digest,
    engine_digest,
    policy_version,
    revision,
    version,
)
from tests.operator_.desired.facts import CPU, GPU, HUB

TEMPLATE = {"messages": [{"role": "user", "content": "{{ q }}"}], "variables": [{"name": "q"}]}
POLICY: dict[str, Any] = {"input": [{"secrets": {}}]}


def spec(document: dict[str, Any]) -> LLMDeploymentSpec:
    return LLMDeploymentSpec.model_validate(document)


def configuration(document: dict[str, Any], template: object = TEMPLATE, policy: object = POLICY) -> str:
    templates = {"t": PromptTemplateSpec.model_validate(template)}
    return configuration_digest(spec(document), templates, Policy("p", GuardPolicySpec.model_validate(policy)))


def test_the_digests_are_pinned() -> None:
    assert digest({"b": [1, "ä"], "a": None}) == "5d4c789751acdad9"
    assert engine_digest(spec(GPU)) == "f213d9830a2e8a1d"
    assert engine_digest(spec(CPU)) == "6fea725cbc32631f"
    assert configuration(CPU) == "8186c947cf70eac2"
    assert revision(engine_digest(spec(CPU)), configuration(CPU)) == "a90313a42d"
    assert version(PromptTemplateSpec.model_validate(TEMPLATE)) == "3ca8c23f44f09df3"


@pytest.mark.parametrize(
    "same",
    [
        GPU | {"engine": {}},
        GPU | {"engine": {"tensorRTLLM": {}}},
        GPU | {"engine": {"tensorRTLLM": {"maxBatchSize": 64}}},
        GPU | {"replicas": 5, "limits": {"concurrentRequests": 7}},
        GPU | {"cache": {"exact": {}, "maxBytes": "64Mi"}},
        GPU | {"model": GPU["model"] | {"license": "mit", "name": "another"}},
        GPU | {"scheduling": {}},
    ],
    ids=["no engine", "default engine", "default value", "other parts", "default cache", "words", "no scheduling"],
)
def test_what_means_the_same_to_the_engine_has_the_same_digest(same: dict[str, Any]) -> None:
    assert engine_digest(spec(same)) == engine_digest(spec(GPU))


@pytest.mark.parametrize(
    "other",
    [
        HUB,
        GPU | {"engine": {"vLLM": {}}},
        GPU | {"engine": {"tensorRTLLM": {"maxBatchSize": 65}}},
        GPU | {"engine": {"tensorRTLLM": {"arguments": {"dtype": "auto"}}}},
        GPU | {"resources": {"gpus": 1, "memory": "1Gi"}},
        GPU | {"scheduling": {"nodeSelector": {"pool": "a"}}},
        GPU | {"limits": {"requestSeconds": 601}},
        GPU | {"cache": {"maxBytes": "65Mi"}},
    ],
    ids=["source", "engine", "field", "argument", "resources", "scheduling", "grace period", "memory"],
)
def test_what_needs_other_pods_has_another_digest(other: dict[str, Any]) -> None:
    assert engine_digest(spec(other)) != engine_digest(spec(GPU))


def test_the_key_for_hashes_needs_other_pods_and_is_left_out_where_there_is_none() -> None:
    without = Policy("p", GuardPolicySpec.model_validate(POLICY))
    keyed = Policy("p", GuardPolicySpec.model_validate(POLICY | {"hashKeySecretRef": {"name": "a", "key": "b"}}))
    assert engine_digest(spec(GPU), without) == engine_digest(spec(GPU))
    assert engine_digest(spec(GPU), keyed) != engine_digest(spec(GPU))


def test_classifiers_that_policies_bring_along_need_other_pods() -> None:
    models: list[dict[str, Any]] = [
        {"volume": {"claimName": "a"}},
        {"volume": {"claimName": "b"}},
        {"image": {"reference": "a:1"}},
        {"volume": {"claimName": "a"}, "memory": "2Gi"},
    ]
    rules: list[dict[str, Any]] = [{}, *({"model": model} for model in models)]
    policies = [Policy("p", GuardPolicySpec.model_validate({"input": [{"injection": one}]})) for one in rules]
    assert engine_digest(spec(GPU), policies[0]) == engine_digest(spec(GPU))
    assert len({engine_digest(spec(GPU), one) for one in policies}) == 5
    labelled = GuardPolicySpec.model_validate({"input": [{"injection": {"model": {**models[0], "labels": ["A"]}}}]})
    assert engine_digest(spec(GPU), Policy("p", labelled)) == engine_digest(spec(GPU), policies[1])


def test_models_for_names_need_other_pods_once_for_both_directions() -> None:
    models: list[dict[str, Any]] = [{"volume": {"claimName": "a"}}, {"volume": {"claimName": "b"}}]
    first, second = ({"pii": {"entities": ["PersonName"], "model": model}} for model in models)

    def engine(**policy: Any) -> str:
        return engine_digest(spec(GPU), Policy("p", GuardPolicySpec.model_validate(policy)))

    assert engine(input=[first]) == engine(output=[first]) == engine(input=[first], output=[first])
    assert len({engine(), engine(input=[first]), engine(input=[second]), engine(input=[first, second])}) == 4
    labelled = {"pii": {"entities": ["PersonName"], "model": {**models[0], "labels": ["PER"], "threshold": "0.9"}}}
    assert engine(input=[labelled]) == engine(input=[first])


def test_the_version_of_a_policy_covers_its_lists_and_is_its_own_without_any() -> None:
    read = GuardPolicySpec.model_validate(POLICY)
    assert policy_version(Policy("p", read)) == version(read)
    lists = [{}, {("a", "k"): "x"}, {("a", "k"): "y"}, {("b", "k"): "x"}]
    assert len({policy_version(Policy("p", read, one)) for one in lists}) == 4


def test_the_configuration_digest_covers_content_and_not_only_names() -> None:
    found = {
        configuration(CPU),
        configuration(CPU, template=TEMPLATE | {"parameters": {"maxTokens": 1}}),
        configuration(CPU, policy=POLICY | {"onError": "Open"}),
        configuration(CPU | {"limits": {"outputTokens": 1}}),
        configuration(CPU | {"cache": {"exact": {"ttl": "1s"}}}),
        configuration(CPU | {"model": {"name": "another"}}),
        configuration(CPU | {"prompts": {"templates": [{"name": "t"}], "default": "t"}}),
    }
    assert len(found) == 7


def test_a_field_with_its_default_changes_no_version() -> None:
    written = TEMPLATE | {"variables": [{"name": "q", "type": "string", "required": False, "maxLength": 4000}]}
    assert version(PromptTemplateSpec.model_validate(written)) == version(PromptTemplateSpec.model_validate(TEMPLATE))
