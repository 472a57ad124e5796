"""Rules on whole texts: what the guard is told of them, and what its pod is given for them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET, UnsetType

from llmops_operator.desired import contract as builder
from llmops_operator.desired.network import network_policy
from llmops_operator.desired.pod import template
from llmops_operator.desired.revision import engine_digest
from llmops_sidecars import contract
from llmops_sidecars.contract import Action, HarmCategory, HarmThreshold, UnicodeKind, UrlKind
from tests.operator_.desired.facts import CPU, EXTERNAL, GPU, HUB, IMAGE, VLLM, facts

Document = dict[str, Any]

INPUT: dict[str, tuple[Document, contract.Rule]] = {
    "harm": ({"harm": {}}, contract.HarmRule(tuple(map(HarmThreshold, HarmCategory)), Action.BLOCK)),
    "some harm": (
        {"harm": {"categories": [{"category": "Hate", "threshold": "0.8"}], "action": "Report"}},
        contract.HarmRule((HarmThreshold(HarmCategory.HATE, 0.8),), Action.REPORT),
    ),
    "language": ({"language": {"allowed": ["en"]}}, contract.LanguageRule(("en",), 0.8, 40, Action.BLOCK)),
    "languages": (
        {"language": {"allowed": ["de", "fr"], "confidence": "0.9", "minimumCharacters": 20, "action": "Report"}},
        contract.LanguageRule(("de", "fr"), 0.9, 20, Action.REPORT),
    ),
    "limits": ({"limits": {"messages": 3}}, contract.LimitsRule(messages=3)),
    "all limits": (
        {"limits": {"messages": 3, "characters": 4, "tokens": 5, "action": "Report"}},
        contract.LimitsRule(3, 4, 5, "/model/tokenizer.json", Action.REPORT),
    ),
    "topics": (
        {
            "topics": {
                "allowed": [{"name": "a", "examples": ["x y"], "threshold": "0.3"}],
                "denied": [{"name": "b", "keywords": ["z"]}],
            }
        },
        contract.TopicsRule((contract.Topic("a", ("x y",), (), 0.3),), (contract.Topic("b", (), ("z",), None),)),
    ),
    "special tokens": ({"specialTokens": {}}, contract.SpecialTokensRule((), Action.MASK)),
    "listed tokens": (
        {"specialTokens": {"tokens": ["<tool>", "</tool>"], "action": "Block"}},
        contract.SpecialTokensRule(("<tool>", "</tool>"), Action.BLOCK),
    ),
    "unicode": ({"unicode": {}}, contract.UnicodeRule(tuple(UnicodeKind), Action.MASK)),
    "tags": (
        {"unicode": {"kinds": ["Tags"], "action": "Block"}},
        contract.UnicodeRule((UnicodeKind.TAGS,), Action.BLOCK),
    ),
    "urls": ({"urls": {}}, contract.UrlsRule()),
    "domains": (
        {
            "urls": {
                "allow": ["*.a.test"],
                "deny": ["b.test"],
                "schemes": ["https"],
                "kinds": ["Image"],
                "action": "Block",
            }
        },
        contract.UrlsRule(("*.a.test",), ("b.test",), ("https",), (UrlKind.IMAGE,), Action.BLOCK),
    ),
    "webhook": ({"webhook": {"url": "https://a.test/j"}}, contract.WebhookRule("https://a.test/j", 2.0)),
    "all of a webhook": (
        {
            "webhook": {
                "url": "https://a.test/j",
                "timeout": "500ms",
                "onError": "Open",
                "tokenSecretRef": {"name": "judge", "key": "token"},
                "signingKeySecretRef": {"name": "judge", "key": "hmac"},
                "certificateAuthority": {"configMap": {"name": "ca", "key": "ca.crt"}},
                "action": "Report",
            }
        },
        contract.WebhookRule(
            url="https://a.test/j",
            timeout_seconds=0.5,
            token_file="/etc/llmops-webhooks/secret/judge/token",
            key_file="/etc/llmops-webhooks/secret/judge/hmac",
            authorities_file="/etc/llmops-webhooks/config-map/ca/ca.crt",
            action=Action.REPORT,
            on_error=contract.OnError.OPEN,
        ),
    ),
}
OUTPUT: dict[str, tuple[Document, contract.Rule]] = {
    "schema": ({"jsonSchema": {"schema": {"type": "object"}}}, contract.JsonSchemaRule({"type": "object"})),
    "leak": ({"promptLeak": {}}, contract.PromptLeakRule(40, Action.BLOCK)),
    "masked leak": ({"promptLeak": {"letters": 60, "action": "Mask"}}, contract.PromptLeakRule(60, Action.MASK)),
}
ASKING = {"output": [INPUT["all of a webhook"][0]], "input": [INPUT["webhook"][0]]}


def written(policy: Document, spec: Document = GPU) -> contract.Policy:
    document = builder.build(facts(spec, policy=policy))
    assert contract.decode(contract.encode(document)) == document
    return document.configurations[0].policy


@pytest.mark.parametrize(("rule", "expected"), INPUT.values(), ids=INPUT)
def test_a_rule_for_prompts_is_translated(rule: Document, expected: contract.Rule) -> None:
    assert written({"input": [rule]}).input == (expected,)


@pytest.mark.parametrize(("rule", "expected"), OUTPUT.values(), ids=OUTPUT)
def test_a_rule_for_answers_is_translated(rule: Document, expected: contract.Rule) -> None:
    assert written({"output": [rule]}).output == (expected,)


@pytest.mark.parametrize(
    ("policy", "consent", "audit"),
    [
        ({}, UNSET, UNSET),
        ({"consent": {"header": "x-ok"}, "audit": {}}, contract.Consent("x-ok"), contract.Audit()),
        (
            {"consent": {"claim": "ok", "required": False}, "audit": {"verdicts": False, "text": "Masked"}},
            contract.Consent(None, "ok", required=False),
            contract.Audit(verdicts=False, text=contract.AuditText.MASKED),
        ),
    ],
)
def test_consent_and_audit_are_translated(
    policy: Document, consent: contract.Consent | UnsetType, audit: contract.Audit | UnsetType
) -> None:
    assert (written(policy).consent, written(policy).audit) == (consent, audit)


def container(spec: Document, name: str) -> Document:
    return next(one for one in (*spec.get("initContainers", ()), *spec["containers"]) if one["name"] == name)


@pytest.mark.parametrize("spec", [GPU, EXTERNAL, CPU], ids=["gpu", "external", "cpu"])
def test_the_guard_alone_gets_the_files_of_webhooks(spec: Document) -> None:
    pod = template(facts(spec, policy=ASKING))["spec"]
    (volume,) = (one for one in pod["volumes"] if one["name"] == "webhooks")
    assert volume["projected"] == {
        "defaultMode": 0o440,
        "sources": [
            {
                "configMap": {
                    "name": "ca",
                    "items": [{"key": "ca.crt", "path": "config-map/ca/ca.crt"}],
                    "optional": True,
                }
            },
            {"secret": {"name": "judge", "items": [{"key": "hmac", "path": "secret/judge/hmac"}], "optional": True}},
            {"secret": {"name": "judge", "items": [{"key": "token", "path": "secret/judge/token"}], "optional": True}},
        ],
    }
    for one in (*pod.get("initContainers", ()), *pod["containers"]):
        mounted = [mount for mount in one["volumeMounts"] if mount["name"] == "webhooks"]
        wanted = {"name": "webhooks", "mountPath": "/etc/llmops-webhooks", "readOnly": True}
        assert mounted == ([wanted] if one["name"] == "guard" else [])


@pytest.mark.parametrize("spec", [GPU, VLLM, HUB, IMAGE], ids=["volume", "vllm", "hub", "image"])
def test_the_guard_reads_the_models_files_as_the_engine_does(spec: Document) -> None:
    pod = template(facts(spec))["spec"]
    engine, guard = (
        [mount for mount in container(pod, name)["volumeMounts"] if mount["mountPath"] == "/model"]
        for name in ("triton", "guard")
    )
    assert guard == engine
    assert guard[0]["readOnly"]


def test_without_a_model_or_a_webhook_the_guard_mounts_what_it_always_did() -> None:
    pod = template(facts(CPU, policy={"input": [{"pii": {}}, INPUT["webhook"][0]]}))["spec"]
    assert [mount["name"] for mount in container(pod, "guard")["volumeMounts"]] == ["contract", "socket"]


def test_only_other_files_need_other_pods() -> None:
    without = facts(GPU, policy={"input": [INPUT["webhook"][0], INPUT["all limits"][0]]})
    asking = facts(GPU, policy=ASKING)
    moved = facts(GPU, policy={"input": ASKING["output"], "output": ASKING["input"]})
    assert engine_digest(without.spec, without.policy) == engine_digest(without.spec)
    assert engine_digest(asking.spec, asking.policy) != engine_digest(without.spec, without.policy)
    assert engine_digest(moved.spec, moved.policy) == engine_digest(asking.spec, asking.policy)


@pytest.mark.parametrize(("policy", "reaches"), [(None, False), ({"input": [{"pii": {}}]}, False), (ASKING, True)])
def test_only_a_webhook_lets_the_pod_out(policy: Document | None, reaches: bool) -> None:  # noqa: FBT001 - a column
    egress = network_policy(facts(CPU, policy=policy))["spec"].get("egress", [])
    assert bool(egress) is reaches
    if reaches:
        blocks = [one["ipBlock"] for rule in egress for one in rule.get("to", ()) if "ipBlock" in one]
        assert {exception for block in blocks for exception in block["except"]} >= {"169.254.0.0/16"}


def test_keys_for_hashes_stand_beside_the_files_of_webhooks_and_access() -> None:
    every = ASKING | {"hashKeySecretRef": {"name": "hashing", "key": "k"}}
    keys = {"access": {"apiKeys": {"secretName": "keys"}}}
    found = facts(GPU | keys, policy=every)
    pod = template(found)["spec"]
    assert {"api-keys", "hash-key", "webhooks"} <= {one["name"] for one in pod["volumes"]}
    mounted = [mount["name"] for mount in container(pod, "guard")["volumeMounts"]]
    assert mounted == ["contract", "socket", "api-keys", "hash-key", "webhooks", "model"]
    without = {
        "access": facts(GPU, policy=every),
        "key": facts(GPU | keys, policy=ASKING),
        "webhook": facts(GPU | keys, policy={"hashKeySecretRef": every["hashKeySecretRef"]}),
    }
    digests = {engine_digest(one.spec, one.policy) for one in (found, *without.values())}
    assert len(digests) == 4
