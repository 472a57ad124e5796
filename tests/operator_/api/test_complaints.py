from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from llmops_operator.api import GuardPolicySpec, LLMDeploymentSpec
from llmops_operator.api.complaints import complaints
from tests.operator_.api.bad import repository, rule, served

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ({"replicas": 1}, "spec.model: is required"),
        (served(replica=1), "spec.replica: is not a field here; check its spelling and its place"),
        (served(replicas="2"), "spec.replicas: must be a whole number, without quotes"),
        (served(replicas=-1), "spec.replicas: must be at least 0, got -1"),
        (served(replicas=9999), "spec.replicas: must be at most 1000, got 9999"),
        (served(model={"name": 7}), "spec.model.name: must be text; put it in quotes"),
        (served(model="m"), "spec.model: must be an object"),
        (served(prompts={"templates": "a"}), "spec.prompts.templates: must be a list"),
        (served(engine={"vLLM": {"arguments": []}}), "spec.engine.vLLM.arguments: must be an object"),
        (
            repository(scheduling={"tolerations": [{"key": "a", "effect": "Never"}]}),
            "spec.scheduling.tolerations[0].effect: must be 'NoSchedule', 'PreferNoSchedule' or 'NoExecute'",
        ),
        (served(model={"name": ""}), "spec.model.name: must have at least 1 characters"),
        (served(model={"name": "m" * 129}), "spec.model.name: must have at most 128 characters"),
        (repository(limits={"bodyBytes": "1"}), "spec.limits.bodyBytes: must be an amount between 1Ki and 64Mi"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_problem_is_one_line_with_the_path_of_its_field(spec: dict[str, Any], line: str) -> None:
    with pytest.raises(ValidationError) as refused:
        LLMDeploymentSpec.model_validate(spec)
    assert line in complaints(refused.value)


def test_every_problem_is_told() -> None:
    with pytest.raises(ValidationError) as refused:
        LLMDeploymentSpec.model_validate(served(replicas=-1, replica=1))
    assert [line.partition(":")[0] for line in complaints(refused.value)] == ["spec.replicas", "spec.replica"]


@pytest.mark.parametrize(
    ("entities", "words"),
    [([], "must have at least 1 entries"), (["Email"] * 17, "must have at most 16 entries")],
    ids=["none", "too many"],
)
def test_lists_are_counted(entities: list[str], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        GuardPolicySpec.model_validate(rule(pii={"entities": entities}))
    assert complaints(refused.value) == [f"spec.input[0].pii.entities: {words}"]


@pytest.mark.parametrize(
    "spec",
    [
        {"model": {"name": "m"}, "engine": {"external": {"url": f"https://user:{SECRET}@host/v1", "model": "x"}}},
        served(limits={"bodyBytes": SECRET}),
        served(replicas=SECRET),
        served(engine={SECRET: {}}) | {"replicas": {SECRET: SECRET}},
    ],
    ids=["pattern", "quantity", "type", "kind"],
)
def test_no_text_of_the_user_is_repeated(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        LLMDeploymentSpec.model_validate(spec)
    values = [line.partition(": ")[2] for line in complaints(refused.value)]
    assert values
    assert not any(SECRET in value for value in values)
