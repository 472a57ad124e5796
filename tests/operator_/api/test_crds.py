from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Optional

import pytest
from pydantic import BaseModel, Field

from llmops_operator.api import LLMDeploymentSpec, crds
from llmops_operator.api.structural import NotStructuralError, structural

ROOT = Path(__file__).parents[3]


def test_the_generated_files_are_fresh() -> None:
    paths = [ROOT / path for path in crds.render()]
    found = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths if path.exists()}
    assert crds.differences(found) == "", "run `make generate`"


def test_a_stale_file_is_shown_as_a_difference() -> None:
    found = crds.render() | {"crds/guardpolicies.yaml": "kind: Old\n"}
    assert "-kind: Old" in crds.differences(found)


def schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    for resource in crds.RESOURCES:
        root = crds.definition(resource)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        yield from walk(resource.kind, root)


def walk(path: str, schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from walk(f"{path}.{name}", inner)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from walk(f"{path}[]", schema[key])


PARTS = list(schemas())


@pytest.mark.parametrize(("path", "schema"), PARTS, ids=[path for path, _ in PARTS])
def test_every_part_is_structural_bounded_and_described(path: str, schema: dict[str, Any]) -> None:
    assert "type" in schema
    assert not {"$ref", "anyOf", "oneOf", "allOf", "title", "const", "$defs"} & schema.keys()
    assert not ("properties" in schema and "additionalProperties" in schema)
    outside = (".apiVersion", ".kind", ".metadata")
    if schema["type"] == "string" and not path.endswith(outside) and "enum" not in schema:
        assert schema["maxLength"] > 0
    if schema["type"] == "array":
        assert schema["maxItems"] > 0
    if schema["type"] == "object" and (
        "additionalProperties" in schema or "x-kubernetes-preserve-unknown-fields" in schema
    ):
        assert schema["maxProperties"] > 0
    if not path.endswith(("[]", *outside, ".name")):
        assert schema["description"]
    assert not isinstance(schema.get("default"), (dict, list))


class Inner(BaseModel):
    """The class says this."""

    one: int


class Fine(BaseModel):
    inner: Inner | None = Field(default=None, description="The field says that.")
    kind: Literal["a"] = "a"
    names: dict[str, int] = Field(default_factory=dict)


class Union(BaseModel):
    value: int | str


class Anything(BaseModel):
    value: dict[str, Any]


class Recursive(BaseModel):
    inner: Optional[Recursive] = None  # noqa: UP045 - pydantic resolves the name itself later


class Untyped(BaseModel):
    value: Any


class Tuples(BaseModel):
    value: tuple[int, str]


def test_the_field_speaks_louder_than_its_class() -> None:
    schema = structural(Fine)
    assert schema["properties"]["inner"]["description"] == "The field says that."
    assert schema["properties"]["inner"]["required"] == ["one"]
    assert schema["properties"]["kind"] == {
        "type": "string",
        "enum": ["a"],
        "default": "a",
        "description": "Default: a.",
    }
    assert schema["properties"]["names"]["additionalProperties"] == {"type": "integer"}


def test_a_status_has_no_defaults() -> None:
    for resource in crds.RESOURCES:
        schema = crds.definition(resource)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        assert not [path for path, part in walk("status", schema["properties"]["status"]) if "default" in part]


def test_a_field_tells_its_default() -> None:
    schema = structural(LLMDeploymentSpec)
    assert schema["properties"]["replicas"]["description"] == "Pods. Default: 1."


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Union, "Union.value: is a union"),
        (Anything, "Anything.value: takes anything"),
        (Recursive, "Recursive.inner: Recursive contains itself"),
        (Untyped, "Untyped.value: has no type"),
        (Tuples, "Tuples.value: prefixItems cannot be expressed"),
    ],
    ids=["union", "anything", "recursion", "untyped", "tuple"],
)
def test_what_is_not_structural_is_refused_by_its_path(model: type[BaseModel], words: str) -> None:
    with pytest.raises(NotStructuralError, match=words):
        structural(model)
