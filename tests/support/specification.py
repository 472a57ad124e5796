"""The published specification, as far as it concerns what is served: what it allows, and whether something conforms."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema import Draft202012Validator

EXTRACT = Path(__file__).parents[1] / "data" / "openai" / "schemas.json"
LARGEST_INTEGER = 2**63 - 1
"""The specification's bounds of 64-bit integers are rounded as floats are: these are meant."""

MOST_LEVELS = 12
"""Of samples; schemas that contain themselves are not sampled any deeper."""

Sample = tuple[str, Any]
"""Where a choice was made, and a value with that choice."""


@functools.cache
def _document() -> dict[str, Any]:
    return dict(json.loads(EXTRACT.read_text()))


def version() -> str:
    """The specification's version."""
    return str(_document()["version"])


def schema(name: str) -> dict[str, Any]:
    """One of its schemas, with `nullable`, an older word, as the type that it means."""
    return dict(_nullable(_document()["schemas"][name]))


@functools.cache
def validator(name: str) -> jsonschema.protocols.Validator:
    """What tells whether something is as a schema says."""
    definitions = {one: schema(one) for one in _document()["schemas"]}
    whole = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": definitions}}
    return Draft202012Validator(whole)


def properties(name: str) -> dict[str, Any]:
    """The properties of a schema, those of all that it is made of too."""
    found: dict[str, Any] = {}
    one = _resolved({"$ref": f"#/{name}"})
    for part in one.get("allOf", ()):
        found |= properties(part["$ref"].rpartition("/")[2]) if "$ref" in part else part.get("properties", {})
    return found | dict(one.get("properties", {}))


def samples(of: dict[str, Any]) -> list[Sample]:
    """Values that a schema allows: one for each of its alternatives, words, edges and properties, at every level."""
    return list(_samples(of, "", 0))


def _samples(of: dict[str, Any], place: str, level: int) -> Iterator[Sample]:
    of = _resolved(of)
    if level > MOST_LEVELS:
        return
    if "enum" in of or "const" in of:
        yield from ((f"{place}={word}", word) for word in of.get("enum", [of.get("const")]))
        return
    alternatives = [*of.get("anyOf", ()), *of.get("oneOf", ())]
    if alternatives:
        for number, one in enumerate(alternatives):
            name = _resolved(one).get("type", "") if "$ref" not in one else one["$ref"].rpartition("/")[2]
            yield from _samples(one, f"{place}<{name or number}>", level + 1)
        return
    match of.get("type"):
        case "array":
            yield from _arrays(of, place, level)
        case "object":
            yield from _objects(of, place, level)
        case _:
            yield from _scalars(of, place)
    if of.get("nullable"):
        yield f"{place}=null", None


def _scalars(of: dict[str, Any], place: str) -> Iterator[Sample]:
    match of.get("type"):
        case "boolean":
            yield from ((f"{place}={str(value).lower()}", value) for value in (True, False))
        case "integer" | "number":
            edges = [of[edge] for edge in ("minimum", "maximum") if edge in of] or [1]
            if of["type"] == "integer":
                edges = [max(min(int(edge), LARGEST_INTEGER), -LARGEST_INTEGER - 1) for edge in edges]
            yield from ((f"{place}={edge}", edge) for edge in edges)
        case "null":
            yield f"{place}=null", None
        case _:
            yield place, "text"


def _arrays(of: dict[str, Any], place: str, level: int) -> Iterator[Sample]:
    for where, item in _samples(of.get("items", {}), f"{place}[]", level + 1):
        yield where, [item] * max(of.get("minItems", 1), 1)


def _objects(of: dict[str, Any], place: str, level: int) -> Iterator[Sample]:
    """The least that is required, with each variant of each property beside it."""
    known, required = of.get("properties", {}), of.get("required", ())
    least = {name: _first(known[name], level + 1) for name in required if name in known}
    varied = False
    for name, one in known.items():
        for where, value in _samples(one, f"{place}.{name}".lstrip("."), level + 1):
            varied = True
            yield where, least | {name: value}
    if not varied:
        extra = of.get("additionalProperties")
        value = _first(extra, level + 1) if isinstance(extra, dict) else None
        yield place, least if value is None else least | {"key": value}


def _first(of: dict[str, Any], level: int) -> Any:
    return next((value for _, value in _samples(of, "", level)), None)


def _resolved(of: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in of:
        of = schema(of["$ref"].rpartition("/")[2])
    return of


def _nullable(value: Any) -> Any:
    if isinstance(value, list):
        return [_nullable(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _nullable(item) for key, item in value.items() if key not in {"nullable", "discriminator"}}
    return {"anyOf": [plain, {"type": "null"}]} if value.get("nullable") is True else plain
