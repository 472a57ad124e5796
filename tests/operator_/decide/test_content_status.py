"""The statuses of templates and policies."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from llmops_operator.api import GuardPolicySpec, GuardPolicyStatus, PromptTemplateSpec, PromptTemplateStatus
from llmops_operator.decide.status import policy_status
from llmops_operator.decide.status import template_status as status_among
from llmops_operator.desired.revision import version
from llmops_operator.world import Resource, resource
from tests.operator_.decide.worlds import LISTED, NOW, POLICY, TEMPLATE, kind


def template_status(one: Resource[PromptTemplateSpec], now: datetime) -> dict[str, Any]:
    """The status of a template alone."""
    return status_among("support", {"support": one}, now)


def template(spec: object, **more: Any) -> Resource[PromptTemplateSpec]:
    return resource(kind("support", spec) | more, PromptTemplateSpec)


def policy(spec: object) -> Resource[GuardPolicySpec]:
    return resource(kind("strict", spec), GuardPolicySpec)


def test_a_template_that_works_is_ready_with_its_version() -> None:
    status = template_status(template(TEMPLATE), NOW)
    PromptTemplateStatus.model_validate(status)
    assert status["version"] == version(PromptTemplateSpec.model_validate(TEMPLATE))
    assert [(one["type"], one["status"]) for one in status["conditions"]] == [("Ready", "True")]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "spec.messages"),
        ({"messages": [{"role": "user", "content": "{{ a }}"}]}, "{{ a }} has no entry in spec.variables"),
    ],
    ids=["unreadable", "unusable"],
)
def test_a_template_that_does_not_work_is_stalled(spec: object, words: str) -> None:
    status = template_status(template(spec), NOW)
    PromptTemplateStatus.model_validate(status)
    assert status["version"] == ""
    assert [(one["type"], one["status"]) for one in status["conditions"]] == [("Ready", "False"), ("Stalled", "True")]
    assert words in status["conditions"][0]["message"]


def test_a_policy_that_works_is_ready_with_its_version() -> None:
    status = policy_status(policy(POLICY), {}, NOW)
    GuardPolicyStatus.model_validate(status)
    assert status["version"]
    assert [one["reason"] for one in status["conditions"]] == ["Valid"]


def test_a_policy_that_cannot_be_read_is_stalled() -> None:
    status = policy_status(policy({"input": [{}]}), {}, NOW)
    GuardPolicyStatus.model_validate(status)
    assert "spec.input[0]" in status["conditions"][1]["message"]


def test_the_version_of_a_policy_covers_its_lists() -> None:
    found = {policy_status(policy(LISTED), {"lists": {"words": text}}, NOW)["version"] for text in ("a", "b", "a")}
    assert len(found) == 2
    assert "" not in found


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({}, "create the ConfigMap lists with the key words in this namespace"),
        ({"lists": {"other": "a"}}, "create the ConfigMap lists with the key words"),
        ({"lists": {"words": "\n"}}, "correct the key words of ConfigMap lists: the list has no phrase"),
        ({"lists": {"words": "a\n" + "x" * 300}}, "ConfigMap lists: line 2 has 300 characters"),
    ],
    ids=["no map", "no key", "no phrase", "a long one"],
)
def test_a_policy_without_its_lists_is_stalled(lists: dict[str, dict[str, str]], words: str) -> None:
    status = policy_status(policy(LISTED), lists, NOW)
    assert status["version"] == ""
    assert [(one["type"], one["status"]) for one in status["conditions"]] == [("Ready", "False"), ("Stalled", "True")]
    assert words in status["conditions"][0]["message"]


def test_a_change_of_an_included_template_is_a_new_version_of_all_that_include_it() -> None:
    def versions(content: str) -> list[str]:
        rules = template({"messages": [{"role": "system", "content": content}]})
        uses = template(TEMPLATE | {"includes": [{"name": "rules"}]})
        again = template(TEMPLATE | {"includes": [{"name": "uses"}]})
        among = {"rules": rules, "uses": uses, "again": again, "other": template(TEMPLATE)}
        return [status_among(name, among, NOW)["version"] for name in among]

    before, after = versions("Be kind."), versions("Be brief.")
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, False, False, True]
    assert len({*before, *after}) == 7


def test_a_template_with_a_missing_include_is_stalled_and_says_which() -> None:
    status = status_among("support", {"support": template(TEMPLATE | {"includes": [{"name": "rules"}]})}, NOW)
    assert (status["version"], status["conditions"][1]["type"]) == ("", "Stalled")
    assert "create the PromptTemplate rules in this namespace" in status["conditions"][0]["message"]


def test_a_status_that_stays_is_not_written_again() -> None:
    first = template_status(template(TEMPLATE), NOW)
    assert template_status(template(TEMPLATE, status=first), NOW + timedelta(hours=1)) == first
