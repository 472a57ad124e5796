"""Whole plans from files, compared with golden ones; and files that cannot be planned."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from llmops_operator.decide.offline import plan_documents
from llmops_operator.settings import Settings
from tests.operator_.conftest import Golden
from tests.operator_.decide.worlds import NOW

DATA = Path(__file__).parents[2] / "data" / "plan"
INPUTS = sorted(DATA.glob("*.input.yaml"))
SETTINGS = Settings(scrape_namespaces=("monitoring",), image_pull_secrets=("registry",))
GOOD = """
apiVersion: llmops.dev/v1alpha1
kind: LLMDeployment
metadata: {name: chat}
spec: {model: {name: m}, engine: {modelRepository: {image: i}}}
"""
TEMPLATE = """
apiVersion: llmops.dev/v1alpha1
kind: PromptTemplate
metadata: {name: support, namespace: NAMESPACE}
spec: {messages: [{role: user, content: hello}]}
"""
USES_TEMPLATE = GOOD.replace("spec: {", "spec: {prompts: {templates: [{name: support}]}, ")


def planned(**files: str) -> tuple[str, tuple[str, ...]]:
    outcome = plan_documents(files, SETTINGS, NOW)
    return outcome.text, outcome.errors


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name.removesuffix(".input.yaml"))
def test_a_plan_is_the_golden_one(path: Path, golden: Golden) -> None:
    outcome = plan_documents({path.name: path.read_text(encoding="utf-8")}, SETTINGS, NOW)
    errors = "".join(f"# error: {error}\n" for error in outcome.errors)
    golden(path.with_name(path.name.replace(".input.", ".output.")), outcome.text + errors)


def test_every_golden_file_has_an_input() -> None:
    outputs = {path.name.replace(".output.", ".input.") for path in DATA.glob("*.output.yaml")}
    assert outputs == {path.name for path in INPUTS}


def test_the_text_is_yaml_that_holds_the_children() -> None:
    text, errors = planned(a=GOOD)
    assert errors == ()
    kinds = [one["kind"] for one in yaml.safe_load_all(text) if one]
    assert kinds[0], kinds[-1] == ("ServiceAccount", "PodDisruptionBudget")


def test_objects_of_several_files_belong_together() -> None:
    assert planned(a=USES_TEMPLATE, b=TEMPLATE.replace("NAMESPACE", "default"))[1] == ()


def test_objects_of_other_namespaces_do_not() -> None:
    (error,) = planned(a=USES_TEMPLATE, b=TEMPLATE.replace("NAMESPACE", "other"))[1]
    assert error.startswith("a: LLMDeployment default/chat: TemplateNotFound: create the PromptTemplate support")


def test_an_empty_document_and_a_foreign_object_are_left_out() -> None:
    assert planned(a=f"---\n---\napiVersion: v1\nkind: Secret\n---{GOOD}")[1] == ()


UNREADABLE = {
    "no YAML": ("a: [1", "file: this is not YAML: while parsing"),
    "a list": ("- a", "file: document 1 is no Kubernetes object: it has no kind"),
    "no kind": ("apiVersion: v1", "file: document 1 is no Kubernetes object: it has no kind"),
    "no name": (f"---{GOOD}---{GOOD.replace('{name: chat}', '{}')}", "file: document 2: LLMDeployment has no metadata"),
    "a mistyped kind": (GOOD.replace("LLMDeployment", "LlmDeployment"), "llmops.dev/v1alpha1 LlmDeployment is unknown"),
    "another version": (GOOD.replace("v1alpha1", "v9"), "llmops.dev/v9 LLMDeployment is unknown; known are"),
    "the same twice": (f"{GOOD}---{GOOD}", "file: LLMDeployment default/chat stands in file already"),
    "a wrong field": (GOOD.replace("spec: {", "spec: {replicas: 'x', "), "spec.replicas"),
    "a wrong template": (TEMPLATE.replace("hello", "'{{ x }}'"), "PromptTemplate NAMESPACE/support: correct the spec"),
}


@pytest.mark.parametrize(("content", "words"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_error_names_file_and_object(content: str, words: str) -> None:
    _, errors = planned(file=content)
    assert len(errors) == 1
    assert errors[0].startswith("file: ")
    assert words in errors[0]
