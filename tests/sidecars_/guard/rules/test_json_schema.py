from __future__ import annotations

from typing import Any

import pytest

from llmops_sidecars.contract import Action, ContractError, JsonSchemaRule, Policy
from llmops_sidecars.guard.policy import compile_policy
from llmops_sidecars.guard.verdict import judge

SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "sure": {"type": "boolean"}},
    "required": ["answer"],
    "additionalProperties": False,
}


def policy(action: Action = Action.BLOCK, document: dict[str, Any] | None = None) -> Policy:
    return Policy(name="p", output=(JsonSchemaRule(SCHEMA if document is None else document, action=action),))


@pytest.mark.parametrize(
    "text",
    ['{"answer": "yes"}', ' {"sure": true,\n "answer": "“naïve” ｆｕｌｌ"} ', '{"answer": "eyJhIjogMX0gYW5kIG1vcmU="}'],
)
def test_an_answer_of_the_schema_passes_as_it_is(text: str) -> None:
    verdict = judge(text, compile_policy(policy()).output)
    assert (verdict.text, verdict.blocked_by) == (text, None)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Yes.", "Syntax"),
        ('{"answer": "cut', "Syntax"),
        ('```json\n{"answer": "yes"}\n```', "Syntax"),
        ('{"answer": NaN}', "Syntax"),
        ("[" * 100_000, "Syntax"),
        ('{"answer": 1}', "Schema"),
        ('{"answer": "yes", "more": 1}', "Schema"),
        ("[]", "Schema"),
    ],
)
def test_another_answer_is_found(text: str, kind: str) -> None:
    blocked = judge(text, compile_policy(policy()).output)
    assert (blocked.text, blocked.blocked_by) == ("", "jsonSchema")
    assert blocked.counts == {("jsonSchema", kind, "Block"): 1}
    assert judge(text, compile_policy(policy(Action.REPORT)).output).text == text


def test_a_stream_is_held_to_its_end() -> None:
    assert compile_policy(policy()).output.whole


@pytest.mark.parametrize(
    ("used", "words"),
    [
        (
            policy(document={"type": "strin"}),
            "policy 'p', jsonSchema: the schema cannot be used: it is no valid JSON schema",
        ),
        (policy(Action.MASK), "policy 'p', jsonSchema: the action is Block or Report, not Mask"),
        (
            Policy(name="p", input=(JsonSchemaRule({}),)),
            "policy 'p', jsonSchema: it is a rule for output, not for input",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(used: Policy, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        compile_policy(used)
