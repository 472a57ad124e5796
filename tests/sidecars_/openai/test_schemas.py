from __future__ import annotations

import time
from typing import Any

import pytest

from llmops_sidecars.openai.schemas import MOST_PARTS, REMEMBERED, Schema, SchemaError

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}
TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "left": {"$ref": "#/$defs/edge"},
                "right": {"$ref": "#/$defs/edge"},
            },
            "required": ["value"],
        },
        "edge": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]},
    },
    "$ref": "#/$defs/node",
}


def deep(levels: int, leaf: Any = 1) -> Any:
    for _ in range(levels):
        leaf = {"value": 1, "left": leaf}
    return leaf


@pytest.mark.parametrize(
    ("document", "value", "says"),
    [
        (PERSON, {"name": "Ada", "age": 36}, None),
        (PERSON, {"age": 36}, "required"),
        (PERSON, {"name": "Ada", "age": -1}, "properties/age/minimum"),
        (PERSON, {"name": "Ada", "x": 1}, "additionalProperties"),
        (PERSON, [], "type"),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "$id": "https://a/b", **PERSON}, {"name": "Ada"}, None),
        ({"enum": ["a", "b"]}, "c", "enum"),
        ({"pattern": "^(a+)+$"}, "a" * 40 + "!", "pattern"),
        ({}, {"anything": [1, None]}, None),
        (TREE, deep(10, None), None),
        (TREE, deep(10, {"value": "x"}), "anyOf"),
        ({"items": {"$ref": "#"}, "type": "array"}, [[[]], []], None),
        ({"properties": {"a~b/c": {"type": "null"}, "x": {"$ref": "#/properties/a~0b~1c"}}}, {"x": 1}, "type"),
    ],
)
def test_values_are_held_against_schemas(document: dict[str, Any], value: Any, says: str | None) -> None:
    mismatch = Schema(document).mismatch(value)
    assert (mismatch is None) if says is None else (mismatch is not None and says in mismatch)


def test_a_mismatch_does_not_repeat_what_was_said() -> None:
    mismatch = Schema({"additionalProperties": {"type": "integer"}}).mismatch({"hunter2": "hunter2"})
    assert mismatch is not None
    assert "hunter2" not in mismatch


def doubling(levels: int) -> dict[str, Any]:
    """Each definition asks the next one twice."""
    definitions: dict[str, Any] = {
        f"a{level}": {"anyOf": [{"$ref": f"#/$defs/a{level + 1}"}] * 2} for level in range(levels)
    }
    return {"$defs": definitions | {f"a{levels}": {"type": "string"}}, "$ref": "#/$defs/a0"}


UNUSABLE = {
    "elsewhere": ({"$ref": "https://example.com/schema"}, "itself only"),
    "a file": ({"$ref": "file:///etc/passwd"}, "itself only"),
    "a reference to nothing": ({"$ref": "#/$defs/none"}, "refers to nothing"),
    "a reference into a text": ({"title": "x", "$ref": "#/title/y"}, "refers to nothing"),
    "a reference to no schema": ({"title": "x", "$ref": "#/title"}, "neither an object nor a boolean"),
    "an anchor": ({"$defs": {"a": {"$anchor": "b"}}, "properties": {"x": {"$anchor": "b"}}}, "$anchor"),
    "itself": ({"$ref": "#"}, "without an end"),
    "itself by a detour": ({"anyOf": [{"not": {"$ref": "#"}}]}, "without an end"),
    "doubling": (doubling(30), "too often"),
    "unknown type": ({"type": "text"}, "no valid JSON schema"),
    "backtracking pattern": ({"pattern": "(?=x)y"}, "no valid JSON schema"),
    "long pattern": ({"patternProperties": {"a" * 1025: {}}}, "characters"),
    "large pattern": ({"pattern": "((a{1000}){1000}){1000}"}, "no valid JSON schema"),
    "many patterns": ({"allOf": [{"pattern": str(number)} for number in range(101)]}, "patterns"),
    "many parts": ({"allOf": [{"type": "null"} for _ in range(MOST_PARTS)]}, "parts"),
    "many values": ({"enum": list(range(MOST_PARTS))}, "parts"),
    "a list as schema": ({"properties": {"a": []}}, "neither an object nor a boolean"),
    "unevaluated": ({"unevaluatedProperties": False}, "unevaluatedProperties"),
}


@pytest.mark.parametrize(("document", "says"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used_is_refused_soon(document: dict[str, Any], says: str) -> None:
    started = time.process_time()
    with pytest.raises(SchemaError) as caught:
        Schema(document)
    assert says in str(caught.value)
    assert time.process_time() - started < 0.5


def test_a_schema_that_multiplies_with_depth_is_held_only_against_what_is_shallow() -> None:
    again = {"$ref": "#/$defs/n"}
    bomb = {
        "$defs": {"n": {"properties": {"a": {"oneOf": [again, {"allOf": [again]}, {"allOf": [again, again]}]}}}},
        **again,
    }
    schema, value = Schema(bomb), dict[str, Any]()
    for _ in range(25):
        value = {"a": value}
    started = time.process_time()
    assert schema.mismatch(value) == "it is too large to be held against this schema"
    assert schema.mismatch({}) is None
    assert time.process_time() - started < 0.5


def test_a_wide_value_under_a_costly_schema_is_too_large() -> None:
    schema = Schema({"items": {"enum": [[number] for number in range(900)]}})
    assert schema.mismatch([[899]] * 100) is None
    assert schema.mismatch([[899]] * 1000) == "it is too large to be held against this schema"


def test_a_deep_value_is_refused() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    mismatch = Schema({}).mismatch(value)
    assert mismatch is not None
    assert "levels deep" in mismatch
    while value:  # taken apart from outside: the interpreter's own way down is not deep enough
        (value,) = value


def test_a_schema_that_was_made_is_found_again_and_the_oldest_is_forgotten() -> None:
    first = Schema.of({"title": "first"})
    assert Schema.of({"title": "first"}) is first
    for number in range(REMEMBERED):
        Schema.of({"title": str(number)})
    assert Schema.of({"title": "first"}) is not first
    assert len(Schema._made) == REMEMBERED


def test_all_allowed_parts_are_made_soon() -> None:
    properties = {f"p{number}": {"type": "object", "properties": {"x": {"type": "string"}}} for number in range(450)}
    started = time.process_time()
    assert Schema({"properties": properties}).mismatch({"p0": {"x": 1}}) is not None
    assert time.process_time() - started < 0.5
