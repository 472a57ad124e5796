from __future__ import annotations

import pytest

from llmops_operator.api.crds import RESOURCES
from llmops_operator.cluster import kinds
from llmops_operator.cluster.kinds import Key
from llmops_operator.decide.plan import plan
from tests.operator_.decide.worlds import CPU, EXTERNAL, GPU, HUB, world


@pytest.mark.parametrize(
    ("kind", "arguments", "path"),
    [
        (kinds.POD, (), "/api/v1/pods"),
        (kinds.POD, ("team",), "/api/v1/namespaces/team/pods"),
        (kinds.DEPLOYMENT, ("team", "a"), "/apis/apps/v1/namespaces/team/deployments/a"),
        (
            kinds.LLM_DEPLOYMENT,
            ("team", "a", "status"),
            "/apis/llmops.dev/v1alpha1/namespaces/team/llmdeployments/a/status",
        ),
    ],
)
def test_paths(kind: kinds.Kind, arguments: tuple[str, ...], path: str) -> None:
    assert kind.path(*arguments) == path


def test_a_key_prints_as_a_person_names_it() -> None:
    assert str(Key("LLMDeployment", "team", "chat")) == "LLMDeployment team/chat"


def test_the_own_kinds_are_those_of_the_crds() -> None:
    assert {(kind.name, kind.plural) for kind in kinds.OWN} == {(one.kind, one.plural) for one in RESOURCES}


@pytest.mark.parametrize("spec", [CPU, GPU, EXTERNAL, HUB], ids=["CPU", "GPU", "external", "hub"])
def test_every_planned_child_is_of_a_kind_in_the_table(spec: dict[str, object]) -> None:
    children = [child.document for child in plan(world(spec)).children]
    assert children
    assert {kinds.of(one) for one in children} <= set(kinds.CHILDREN)
    assert all(one["apiVersion"] == kinds.of(one).api_version for one in children)
