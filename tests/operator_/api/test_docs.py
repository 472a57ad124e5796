"""What the documentation shows can be pasted: every resource in it is valid, and every Python block compiles."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from llmops_operator.api import GuardPolicySpec, LLMDeploymentSpec, PromptTemplateSpec, crds
from llmops_operator.api.guardpolicy import RULES

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(yaml|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MODELS: dict[str, type[BaseModel]] = {
    "LLMDeployment": LLMDeploymentSpec,
    "PromptTemplate": PromptTemplateSpec,
    "GuardPolicy": GuardPolicySpec,
}
SCHEMAS = {one.kind: crds.definition(one)["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for one in crds.RESOURCES}


def blocks(kind: str) -> list[Any]:
    return [
        pytest.param(content, id=f"{page.stem} {number}")
        for page in PAGES
        for number, (language, content) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
        if language == kind
    ]


@pytest.mark.parametrize("content", blocks("yaml"))
def test_a_resource_of_the_documentation_is_valid_twice_over(content: str) -> None:
    documents = list(yaml.safe_load_all(content))
    assert documents
    for document in filter(_is_ours, map(_whole, documents)):
        MODELS[document["kind"]].model_validate(document["spec"])
        jsonschema.validate(document, SCHEMAS[document["kind"]])


def _is_ours(document: Any) -> bool:
    """Whether it is a resource of this project; others beside it are Kubernetes' own."""
    return document["kind"] in MODELS or document["apiVersion"].startswith("llmops.dev/")


def _whole(document: Any) -> Any:
    """The document; a fragment of an LLMDeployment's spec is put into a whole one."""
    if "kind" in document:
        return document
    source = {"huggingFace": {"repository": "acme/model", "revision": "0" * 40}}
    spec = {"model": {"name": "m", "source": source}, "resources": {"gpus": 1}} | document
    return {"apiVersion": "llmops.dev/v1alpha1", "kind": "LLMDeployment", "metadata": {"name": "chat"}, "spec": spec}


def test_each_rule_has_a_part_of_the_guides_page() -> None:
    parts = re.findall(r"^## (\w+)$", (ROOT / "docs" / "guard.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(set(parts) & set(RULES)) == sorted(RULES)


@pytest.mark.parametrize("content", blocks("python"))
def test_a_program_of_the_documentation_compiles(content: str) -> None:
    compile(content, "documentation", "exec")
