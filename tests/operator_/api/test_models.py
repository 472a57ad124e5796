from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel, ValidationError

from llmops_operator.api import GuardPolicySpec, LLMDeploymentSpec, PromptTemplateSpec, crds
from llmops_operator.api.units import to_bytes, to_number, to_seconds
from tests.operator_.api.bad import ARGUMENTS, BAD, SERVED, UNKNOWN_FIELDS, pattern

MODELS: dict[str, type[BaseModel]] = {
    "LLMDeployment": LLMDeploymentSpec,
    "PromptTemplate": PromptTemplateSpec,
    "GuardPolicy": GuardPolicySpec,
}
ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))


@pytest.mark.parametrize(
    ("kind", "spec", "words"), [row[1:] for row in BAD + UNKNOWN_FIELDS], ids=[row[0] for row in BAD + UNKNOWN_FIELDS]
)
def test_the_models_refuse(kind: str, spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        MODELS[kind].model_validate(spec)
    assert words in str(refused.value)


@pytest.mark.parametrize(("engine", "words"), [row[1:] for row in ARGUMENTS], ids=[row[0] for row in ARGUMENTS])
def test_an_argument_that_a_field_decides_is_refused(engine: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        LLMDeploymentSpec.model_validate(SERVED | {"engine": engine})


@pytest.mark.parametrize("path", EXAMPLES, ids=[str(path.relative_to(ROOT)) for path in EXAMPLES])
def test_an_example_is_valid_twice_over(path: Path) -> None:
    schemas = {r.kind: crds.definition(r)["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for r in crds.RESOURCES}
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        MODELS[document["kind"]].model_validate(document["spec"])
        jsonschema.validate(document, schemas[document["kind"]])


def test_specs_cannot_be_changed() -> None:
    spec = GuardPolicySpec()
    with pytest.raises(ValidationError, match="frozen"):
        spec.on_error = "Open"  # type: ignore[misc, assignment]  # that is the point


@pytest.mark.parametrize(("text", "seconds"), [("250ms", 0.25), ("10s", 10), ("1h30m", 5400), ("0.5s", 0.5)], ids=str)
def test_durations(text: str, seconds: float) -> None:
    assert to_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "number"),
    [("8", 8), ("500m", 0.5), ("1Ki", 1024), ("64Gi", 64 * 1024**3), ("1M", 10**6)],
    ids=str,
)
def test_quantities(text: str, number: float) -> None:
    assert float(to_number(text)) == number


def test_bytes_are_whole() -> None:
    assert to_bytes("1.5Ki") == 1536


@pytest.mark.parametrize("text", ["much", "1.5.5", "-1", "1Xi", ""])
def test_a_quantity_without_sense_says_so(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity such as"):
        to_number(text)


@pytest.mark.parametrize("text", ["soon", "60", "1d", "1h 30m", ""])
def test_a_duration_without_sense_says_so(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as"):
        to_seconds(text)


def test_an_expression_is_refused_in_the_words_of_re2() -> None:
    with pytest.raises(ValidationError, match=r"missing \): \(a"):
        GuardPolicySpec.model_validate(pattern("(a"))
