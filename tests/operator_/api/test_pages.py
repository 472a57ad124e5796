"""What the pages show is accepted as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from llmops_operator.api import GuardPolicySpec, crds

DOCS = Path(__file__).parents[3] / "docs"
SCHEMAS = {one.kind: crds.definition(one)["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for one in crds.RESOURCES}
BLOCK = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


def shown(page: str) -> list[Any]:
    """The documents in the YAML blocks of a page; a block without a kind is a part of a policy."""
    found = [yaml.safe_load(block) for block in BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))]
    policy = {"apiVersion": "llmops.dev/v1alpha1", "kind": "GuardPolicy", "metadata": {"name": "shown"}}
    return [one if "kind" in one else policy | one for one in found]


POLICIES = [(page, one) for page in ("audit.md", "guard.md") for one in shown(page) if one["kind"] == "GuardPolicy"]


@pytest.mark.parametrize(
    ("page", "document"), POLICIES, ids=[f"{page}-{one['metadata']['name']}" for page, one in POLICIES]
)
def test_a_policy_on_a_page_is_valid(page: str, document: Any) -> None:
    GuardPolicySpec.model_validate(document["spec"])
    jsonschema.validate(document, SCHEMAS["GuardPolicy"])
    assert document["spec"], page


def test_each_rule_has_a_part_of_the_page() -> None:
    parts = re.findall(r"^## (\w+)$", (DOCS / "guard.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"harm", "topics", "language", "unicode", "urls", "limits", "promptLeak", "jsonSchema", "webhook"} <= set(
        parts
    )
