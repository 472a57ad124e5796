"""The contract that the operator writes is one that the sidecars read."""

from __future__ import annotations

import re
from typing import Any

import pytest

from llmops_operator.api.parameters import ParameterName
from llmops_operator.desired import contract as builder
from llmops_operator.desired import revision
from llmops_operator.desired.configuration import sidecar_configuration
from llmops_operator.desired.digest import digest
from llmops_sidecars import contract
from tests.operator_.desired.facts import ALL, BENCHMARK, CPU, EXTERNAL, FALLBACK, GPU, VLLM, facts

TEMPLATE = {
    "messages": [{"role": "system", "content": "Be {{ how }}."}, {"role": "user", "content": "{{ question }}"}],
    "variables": [
        {"name": "how", "default": "kind"},
        {"name": "question", "required": True, "maxLength": 9, "description": "for people"},
        {"name": "count", "type": "integer", "default": "3", "minimum": "-1", "maximum": "5.5"},
        {"name": "tone", "type": "enum", "values": ["a", "b"]},
        {"name": "plain", "type": "list"},
        {"name": "items", "type": "list", "maxItems": 2, "separator": "", "defaultItems": ["x"]},
    ],
    "parameters": {"temperature": "0.2", "topP": "1", "maxTokens": 5, "stop": ["\n"]},
}
POLICY = {
    "onError": "Open",
    "input": [{"pii": {"entities": ["IBAN"], "action": "Block"}}, {"secrets": {"action": "Mask"}}],
    "output": [{"patterns": [{"name": "x", "expression": "x+", "action": "Mask"}]}],
    "stream": {"holdBackCharacters": 64, "holdBackTime": "1.5s"},
}


def repository(**engine: Any) -> dict[str, Any]:
    """A spec with an image that brings its own repository."""
    return CPU | {"engine": {"modelRepository": {"image": "i", **engine}}}


@pytest.mark.parametrize("spec", ALL.values(), ids=ALL.keys())
def test_the_sidecars_read_what_is_written(spec: dict[str, Any]) -> None:
    written = builder.build(facts(spec, templates={"t": TEMPLATE}, policy=POLICY))
    assert contract.decode(contract.encode(written)) == written


@pytest.mark.parametrize(
    ("spec", "engine"),
    [
        (GPU, contract.TritonGrpcEngine("127.0.0.1:8001", "tensorrt_llm", contract.TritonInterface.LLMAPI)),
        (VLLM, contract.TritonGrpcEngine("127.0.0.1:8001", "vllm_model", contract.TritonInterface.VLLM)),
        (CPU, contract.TritonGrpcEngine("127.0.0.1:8001", "tensorrt_llm", contract.TritonInterface.LLMAPI)),
        (
            repository(model="ensemble", interface="Ensemble", layout="Cumulative"),
            contract.TritonGrpcEngine(
                "127.0.0.1:8001", "ensemble", contract.TritonInterface.ENSEMBLE, contract.TritonLayout.CUMULATIVE
            ),
        ),
        (
            repository(
                model="m",
                protocol="HTTP",
                interface="VLLM",
                embedding={"model": "e", "input": "text", "output": "vector"},
            ),
            contract.TritonHttpEngine(
                "http://127.0.0.1:8000",
                "m",
                contract.TritonInterface.VLLM,
                embedding=contract.TritonEmbedding("e", "text", "vector"),
            ),
        ),
        (EXTERNAL, contract.OpenAIEngine("https://api.example/v1", "gpt-x", "/etc/llmops-credentials/key")),
        (
            EXTERNAL | {"engine": {"external": {"url": "http://a", "model": "m"}}},
            contract.OpenAIEngine("http://a", "m", None),
        ),
        (
            EXTERNAL | {"engine": {"external": {"url": "http://a", "model": "m", "furtherUrls": ["http://b"]}}},
            contract.OpenAIEngine("http://a", "m", None, ("http://b",)),
        ),
        (BENCHMARK, contract.BenchmarkEngine(9, 0.25, 0.0)),
    ],
    ids=[
        "tensorrt-llm",
        "vllm",
        "repository",
        "ensemble that accumulates",
        "vllm over http, with embeddings",
        "external",
        "external without a key",
        "external with two addresses",
        "benchmark",
    ],
)
def test_the_engine_is_where_the_pod_has_it(spec: dict[str, Any], engine: contract.Engine) -> None:
    assert builder.build(facts(spec)).engine == engine


def test_a_fallback_has_a_key_of_its_own() -> None:
    other = ("https://third.example/v1",)
    assert builder.build(facts(FALLBACK)).fallback == contract.OpenAIEngine(
        "https://other.example/v1", "gpt-y", "/etc/llmops-fallback/key", other
    )
    assert builder.build(facts(CPU)).fallback is None


def test_a_template_is_resolved() -> None:
    spec = CPU | {"prompts": {"templates": [{"name": "t"}], "default": "t"}}
    told = facts(spec, templates={"t": TEMPLATE})
    (configuration,) = builder.build(told).configurations
    assert configuration.default_template == "t"
    assert configuration.templates == (
        contract.Template(
            id="t",
            version=revision.version(told.templates["t"]),
            messages=(contract.Message("system", "Be {{ how }}."), contract.Message("user", "{{ question }}")),
            variables=(
                contract.Variable("how", default="kind"),
                contract.Variable("question", required=True, max_length=9, description="for people"),
                contract.Variable("count", contract.VariableType.INTEGER, default="3", minimum=-1.0, maximum=5.5),
                contract.Variable("tone", contract.VariableType.ENUM, values=("a", "b")),
                contract.Variable("plain", contract.VariableType.LIST),
                contract.Variable("items", contract.VariableType.LIST, max_items=2, separator="", default_items=("x",)),
            ),
            parameters=contract.Parameters(0.2, 1.0, 5, ("\n",)),
        ),
    )


@pytest.mark.parametrize(
    ("allow", "expected"),
    [
        ({}, None),
        ({"allow": []}, ()),
        (
            {"allow": [{"name": "topP", "minimum": "0.1", "maximum": "1"}, {"name": "stop"}]},
            (
                contract.AllowedParameter(contract.Parameter.TOP_P, 0.1, 1.0),
                contract.AllowedParameter(contract.Parameter.STOP),
            ),
        ),
    ],
    ids=["everything", "nothing", "some"],
)
def test_what_callers_may_change_is_resolved(
    allow: dict[str, Any], expected: tuple[contract.AllowedParameter, ...] | None
) -> None:
    said = {"messages": [{"role": "user", "content": "q"}]}
    more = {"seed": 3, "presencePenalty": "-0.5", "frequencyPenalty": "2", **allow}
    told = facts(CPU, templates={"t": said | {"parameters": more}})
    found = builder.build(told).configurations[0].templates[0].parameters
    assert found == contract.Parameters(seed=3, presence_penalty=-0.5, frequency_penalty=2.0, allow=expected)


def test_every_parameter_has_a_name_on_both_sides() -> None:
    assert [one.name for one in ParameterName] == [one.name for one in contract.Parameter]


def test_examples_and_calls_of_a_template_are_messages() -> None:
    call = {"id": "c", "name": "n", "arguments": "{}"}
    said = [
        {"role": "developer", "content": "d"},
        {"role": "assistant", "toolCalls": [call]},
        {"role": "tool", "content": "r", "toolCallId": "c"},
        {"role": "user", "content": "q"},
    ]
    examples = [{"user": "u", "assistant": "a"}]
    told = facts(CPU, templates={"t": {"messages": said, "examples": examples}})
    assert builder.build(told).configurations[0].templates[0].messages == (
        contract.Message("developer", "d"),
        contract.Message("assistant", tool_calls=(contract.TemplateCall("c", "n", "{}"),)),
        contract.Message("tool", "r", tool_call_id="c"),
        contract.Message("user", "u"),
        contract.Message("assistant", "a"),
        contract.Message("user", "q"),
    )


def test_a_policy_is_resolved() -> None:
    told = facts(policy=POLICY)
    assert told.policy is not None
    (configuration,) = builder.build(told).configurations
    assert configuration.policy == contract.Policy(
        name="strict",
        version=revision.version(told.policy.spec),
        on_error=contract.OnError.OPEN,
        input=(
            contract.PiiRule((contract.PiiEntity.IBAN,), contract.Action.BLOCK),
            contract.SecretsRule(contract.Action.MASK),
        ),
        output=(contract.PatternsRule((contract.Pattern("x", "x+", contract.Action.MASK),)),),
        stream=contract.StreamWindow(64, 1.5),
    )


FULL_POLICY = {
    "input": [
        {"pii": {"entities": ["Email"], "unmask": True, "countries": ["DE", "FR"]}},
        {"pii": {"entities": ["Age"], "action": "Generalise"}},
        {"secrets": {"action": "Hash"}},
        {"phrases": {"name": "animals", "configMapRef": {"name": "lists", "key": "words"}, "wholeWords": False}},
    ],
    "output": [
        {"phrases": {"inline": ["zebra"], "action": "Mask"}},
        {"phrases": {"configMapRef": {"name": "lists", "key": "words"}, "action": "Report"}},
    ],
    "hashKeySecretRef": {"name": "hashing", "key": "k"},
}


def test_a_policy_with_lists_and_a_key_is_resolved() -> None:
    told = facts(policy=FULL_POLICY, lists={("lists", "words"): "zebra\nlion\n"})
    (configuration,) = builder.build(told).configurations
    file = f"/etc/llmops/phrases-{digest('zebra' + chr(10) + 'lion' + chr(10))}.txt"
    assert configuration.policy.hash_key_file == "/etc/llmops-hash-key/key"
    assert configuration.policy.input == (
        contract.PiiRule(
            (contract.PiiEntity.EMAIL,), unmask=True, countries=(contract.Country.DE, contract.Country.FR)
        ),
        contract.PiiRule((contract.PiiEntity.AGE,), contract.Action.GENERALISE),
        contract.SecretsRule(contract.Action.HASH),
        contract.PhrasesRule("animals", file=file, whole_words=False),
    )
    assert configuration.policy.output == (
        contract.PhrasesRule(phrases=("zebra",), action=contract.Action.MASK),
        contract.PhrasesRule(file=file, action=contract.Action.REPORT),
    )


def test_injection_is_resolved_with_the_model_that_the_policy_brings_along() -> None:
    model = {"volume": {"claimName": "c"}, "file": "onnx/model.onnx", "labels": ["JAILBREAK"]}
    rules = [{"injection": {}}, {"injection": {"action": "Report", "threshold": "0.9", "model": model}}]
    (configuration,) = builder.build(facts(policy={"input": rules})).configurations
    shipped, brought = configuration.policy.input
    assert shipped == contract.InjectionRule(threshold=0.5, action=contract.Action.BLOCK)
    assert isinstance(brought, contract.InjectionRule)
    assert brought.model is not None
    assert (brought.action, brought.threshold, brought.model.labels) == (contract.Action.REPORT, 0.9, ("JAILBREAK",))
    assert re.fullmatch(r"/guard-models/injection-[0-9a-f]{8}/onnx/model\.onnx", brought.model.path)


def test_names_are_looked_for_by_the_model_that_the_policy_brings_along() -> None:
    model = {"image": {"reference": "ner:1"}, "labels": ["PRS"], "threshold": "0.7"}
    rules = [{"pii": {}}, {"pii": {"entities": ["Email", "PersonName"], "unmask": True, "model": model}}]
    (configuration,) = builder.build(facts(policy={"input": rules})).configurations
    without, names = configuration.policy.input
    assert without == contract.PiiRule()
    assert isinstance(names, contract.PiiRule)
    assert names.model is not None
    assert names.entities == (contract.PiiEntity.EMAIL, contract.PiiEntity.PERSON_NAME)
    assert (names.model.labels, names.model.threshold) == (("PRS",), 0.7)
    assert re.fullmatch(r"/guard-models/names-[0-9a-f]{8}/model\.onnx", names.model.path)


def test_a_list_stands_once_beside_the_contract() -> None:
    told = facts(policy=FULL_POLICY, lists={("lists", "words"): "zebra\n"})
    data = sidecar_configuration(told)["data"]
    (name,) = set(data) - {"contract.json"}
    assert data[name] == "zebra\n"
    assert f"/etc/llmops/{name}" in contract.files(contract.decode(data["contract.json"].encode()))


def test_limits_and_cache_are_in_the_sidecars_units() -> None:
    limits = {
        "concurrentRequests": 1,
        "queuedRequests": 2,
        "bodyBytes": "64Ki",
        "outputTokens": 4,
        "requestSeconds": 5,
        "firstTokenSeconds": 6,
        "interTokenSeconds": 7,
    }
    written = builder.build(facts(CPU | {"limits": limits, "cache": {"exact": {"ttl": "1h30m"}, "maxBytes": "1Mi"}}))
    assert written.limits == contract.Limits(1, 2, 65536, 4, 5, 6, 7)
    assert written.configurations[0].cache == contract.CacheSettings(5400.0, 1048576)


def test_without_a_cache_nothing_is_kept_and_without_a_policy_nothing_is_checked() -> None:
    (configuration,) = builder.build(facts()).configurations
    assert configuration.cache.ttl_seconds == 0
    assert configuration.policy == contract.Policy()
    assert configuration.weight == 100
